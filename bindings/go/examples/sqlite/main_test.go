package main

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

// memory is a database behind a guard without rules.
func memory(t *testing.T) (*sql.DB, *tidegate.Guard) {
	t.Helper()
	gate, err := tidegate.Open()
	must(t, err)
	guard, err := gate.Guard("db")
	must(t, err)
	db, err := tgsql.Open(guard, "sqlite", ":memory:")
	must(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { must(t, db.Close()); must(t, gate.Close()) })
	_, err = db.ExecContext(t.Context(), "CREATE TABLE numbers (n INT UNIQUE)")
	must(t, err)
	return db, guard
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRealDriverDoesItsWorkThroughTheGuard(t *testing.T) {
	db, guard := memory(t)
	insert, err := db.PrepareContext(t.Context(), "INSERT INTO numbers VALUES (:n)")
	must(t, err)
	for n := range 10 {
		_, err = insert.ExecContext(t.Context(), sql.Named("n", n))
		must(t, err)
	}
	must(t, insert.Close())
	if _, err := db.ExecContext(t.Context(), "INSERT INTO numbers VALUES (?)", 3); err == nil {
		t.Fatal("a number twice")
	}
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.ExecContext(t.Context(), "DELETE FROM numbers")
	must(t, err)
	must(t, tx.Rollback())
	var sum int
	must(t, db.QueryRowContext(t.Context(), "SELECT sum(n) FROM numbers").Scan(&sum))
	if sum != 45 {
		t.Fatal(sum)
	}
	err = db.QueryRowContext(t.Context(), "SELECT n FROM numbers WHERE n > 100").Scan(&sum)
	if !errors.Is(err, sql.ErrNoRows) {
		t.Fatal(err)
	}
	s, err := guard.Stats()
	if errors.Is(err, tidegate.ErrUnavailable) {
		return
	}
	must(t, err)
	// Connect, table, prepare, ten numbers, a transaction and two queries.
	if s.Calls[tidegate.Success] != 16 || s.Calls[tidegate.Failure] != 1 || s.InFlight != 0 || s.MisusedExits != 0 {
		t.Fatalf("%+v", s)
	}
}
