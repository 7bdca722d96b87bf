package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tidegate/tidegate/bindings/go"
	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

const atOnce = `{"version": 1, "guards": {"db": {"retry": {"backoff": {"growth": "constant", "base": "0s", "jitter": "none"}}}}}`

// isBusy says what SQLite has undone, whose errors have no SQLSTATE.
func isBusy(err error) bool {
	var failed *sqlite.Error
	return errors.As(err, &failed) && failed.Code()&0xff == sqlite3.SQLITE_BUSY
}

// locked is a database on which somebody else has begun to write.
func locked(t *testing.T) (db *sql.DB, guard *tidegate.Guard, other *sql.Conn) {
	t.Helper()
	gate, err := tidegate.Open()
	must(t, err)
	if tidegate.Available() {
		must(t, gate.ApplyRules([]byte(atOnce)))
	}
	guard, err = gate.Guard("db")
	must(t, err)
	db, err = tgsql.Open(guard, "sqlite", filepath.Join(t.TempDir(), "numbers"))
	must(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE numbers (n INT)")
	must(t, err)
	other, err = db.Conn(t.Context())
	must(t, err)
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	t.Cleanup(func() { must(t, other.Close()); must(t, db.Close()); must(t, gate.Close()) })
	return db, guard, other
}

func TestTransactionThatMetAnotherIsTriedAgain(t *testing.T) {
	db, guard, other := locked(t)
	attempts := 0
	err := tgsql.InTx(t.Context(), guard, db, func(ctx context.Context, tx *sql.Tx) error {
		attempts++
		_, err := tx.ExecContext(ctx, "INSERT INTO numbers VALUES (1)")
		if isBusy(err) {
			_, unlocked := other.ExecContext(ctx, "ROLLBACK")
			must(t, unlocked)
		}
		return err
	}, tgsql.TxOptions{Undone: isBusy})
	if !tidegate.Available() {
		if attempts != 1 || !isBusy(err) {
			t.Fatal(attempts, err)
		}
		return
	}
	must(t, err)
	var n int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM numbers").Scan(&n))
	if attempts != 2 || n != 1 {
		t.Fatalf("%d attempts, %d rows", attempts, n)
	}
}
