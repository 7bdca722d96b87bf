package sql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

// This one runs in builds without the library too.
func TestDriverByNameIsGuarded(t *testing.T) {
	rt, err := tidegate.Open()
	must(t, err)
	defer rt.Close()
	guard, err := rt.Guard("db")
	must(t, err)
	f := &fake{errs: map[string]error{"fails": errBackend}}
	name := fmt.Sprintf("fake %p", f) // a name may be registered once, a test run twice
	sql.Register(name, fakeDriver{f})
	db, err := tgsql.Open(guard, name, "somewhere")
	must(t, err)
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.ExecContext(t.Context(), "ok")
	must(t, err)
	must(t, tx.Commit())
	_, err = db.ExecContext(t.Context(), "fails")
	mustBe(t, err, errBackend)
	if s, err := guard.Stats(); !errors.Is(err, tidegate.ErrUnavailable) && (s.Calls[tidegate.Success] != 2 || s.Calls[tidegate.Failure] != 1) {
		t.Fatalf("%v, %+v", err, s)
	}
	if _, err := tgsql.Open(guard, "no such driver", ""); err == nil {
		t.Fatal("opened a driver that is not there")
	}
}

// So does this one.
func TestNothingIsTriedAgainWithoutTheLibraryOrARule(t *testing.T) {
	rt, err := tidegate.Open()
	must(t, err)
	defer rt.Close()
	guard, err := rt.Guard("db")
	must(t, err)
	f := failing(read, state("40001"))
	db := sql.OpenDB(tgsql.NewConnector(f, guard))
	defer db.Close()
	if err := queries(read)(t.Context(), db); err == nil || f.times(read) != 1 {
		t.Fatal(err, f.log)
	}
	err = tgsql.InTx(t.Context(), guard, db, func(ctx context.Context, tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, read).Scan(new(int))
	})
	if err == nil || f.times(read) != 2 {
		t.Fatal(err, f.log)
	}
}
