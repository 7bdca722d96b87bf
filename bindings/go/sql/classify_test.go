package sql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

// state is an error as pgx and lib/pq have them.
type state string

func (s state) Error() string    { return "state " + string(s) }
func (s state) SQLState() string { return string(s) }

func TestErrorsAreClassified(t *testing.T) {
	for _, c := range []struct {
		err  error
		want tidegate.Outcome
	}{
		{nil, tidegate.Success},
		{fmt.Errorf("find: %w", sql.ErrNoRows), tidegate.Success},
		{driver.ErrBadConn, tidegate.Failure},
		{driver.ErrSkip, tidegate.Ignored},
		{sql.ErrTxDone, tidegate.Ignored},
		{sql.ErrConnDone, tidegate.Ignored},
		{errors.New("any"), tidegate.Failure},
		{context.DeadlineExceeded, tidegate.TimedOut},
		{context.Canceled, tidegate.Failure},
		{tidegate.WithOutcome(errBackend, tidegate.Overloaded), tidegate.Overloaded},
		{state("23505"), tidegate.Success},
		{fmt.Errorf("insert: %w", state("42601")), tidegate.Success},
		{state("40001"), tidegate.Ignored},
		{state("40P01"), tidegate.Ignored},
		{state("53300"), tidegate.Overloaded},
		{state("57P03"), tidegate.Overloaded},
		{state("57014"), tidegate.TimedOut},
		{state("57P01"), tidegate.Failure},
		{state("08006"), tidegate.Failure},
		{state("58030"), tidegate.Failure},
		{state("XX000"), tidegate.Failure},
	} {
		if got := tgsql.Classify(t.Context(), c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestCancelledQueryOfACallerWhoLeftIsCancelled(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for _, err := range []error{context.Canceled, state("57014")} {
		if got := tgsql.Classify(ctx, err); got != tidegate.Cancelled {
			t.Errorf("%v: %v", err, got)
		}
	}
}
