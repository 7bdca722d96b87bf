package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/tidegate/tidegate/bindings/go"
)

// Kind says what a call does.
type Kind string

// The kinds of calls.
const (
	Connect Kind = "connect"
	Ping    Kind = "ping"
	Prepare Kind = "prepare"
	Exec    Kind = "exec"
	Query   Kind = "query"
	Begin   Kind = "begin" // a whole transaction
)

// Operation is a call that is about to be made.
type Operation struct {
	Kind     Kind
	Query    string // the statement; empty for connect, ping and begin
	ReadOnly bool   // of begin: as sql.TxOptions says
}

// Options change what is told to the guard and how calls are judged. The zero
// value is right for most.
type Options struct {
	// Call gives the guard what it should know of a call: its key, cost,
	// criticality or attributes.
	Call func(context.Context, Operation) []tidegate.CallOption
	// Classify replaces Classify of this package. ctx is the caller's.
	Classify tidegate.Classifier
	// Idempotent replaces Idempotent of this package: it says which operations
	// may be made twice, of which the first may have reached the database.
	Idempotent func(Operation) bool
	// Undone replaces Undone of this package.
	Undone func(error) bool
}

func (o Options) withDefaults() Options {
	if o.Classify == nil {
		o.Classify = Classify
	}
	if o.Idempotent == nil {
		o.Idempotent = Idempotent
	}
	if o.Undone == nil {
		o.Undone = Undone
	}
	return o
}

// Classify is the classifier of this package, unless [Options] replace it. The
// first line that fits counts:
//
//   - an error marked by tidegate.WithOutcome: that outcome;
//   - no error, and sql.ErrNoRows: Success;
//   - driver.ErrSkip and driver.ErrRemoveArgument, by which a driver asks to be
//     called in another way, and sql.ErrTxDone and sql.ErrConnDone, which are
//     mistakes of the caller: Ignored;
//   - an error with a method SQLState() string (pgx's and lib/pq's have it), by
//     the class that the state begins with: 53 (insufficient resources) and
//     57P03 (cannot connect now): Overloaded; 57014 (query cancelled) while ctx
//     is not cancelled: TimedOut; 40 (the transaction met another): Ignored;
//     08 (connection), 57 (operator), 58 (system), F0 and XX (internal):
//     Failure; all else, such as a violated constraint or wrong syntax:
//     Success, for the database is well and has answered;
//   - what is left as tidegate.Classify says: context.Canceled while ctx is
//     cancelled: Cancelled; a deadline or a timeout: TimedOut; any other,
//     driver.ErrBadConn included: Failure.
//
// The classes are those of the SQL standard and of PostgreSQL's appendix A.
// Errors of other drivers have no portable form: without a classifier of your
// own, a violated constraint is a Failure there.
func Classify(ctx context.Context, err error) tidegate.Outcome {
	if outcome, ok := tidegate.OutcomeOf(err); ok {
		return outcome
	}
	var state interface{ SQLState() string }
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return tidegate.Success
	case errors.Is(err, driver.ErrSkip), errors.Is(err, driver.ErrRemoveArgument),
		errors.Is(err, sql.ErrTxDone), errors.Is(err, sql.ErrConnDone):
		return tidegate.Ignored
	case errors.As(err, &state):
		return classifyState(ctx, state.SQLState())
	}
	return tidegate.Classify(ctx, err)
}

func classifyState(ctx context.Context, state string) tidegate.Outcome {
	switch {
	case state == "57014" && errors.Is(ctx.Err(), context.Canceled):
		return tidegate.Cancelled
	case state == "57014":
		return tidegate.TimedOut
	case state == "57P03", strings.HasPrefix(state, "53"):
		return tidegate.Overloaded
	case strings.HasPrefix(state, "40"):
		return tidegate.Ignored
	}
	for _, class := range []string{"08", "57", "58", "F0", "XX"} {
		if strings.HasPrefix(state, class) {
			return tidegate.Failure
		}
	}
	return tidegate.Success
}
