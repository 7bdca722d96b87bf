package sql_test

import (
	"context"
	"database/sql"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

const oneAtATime = `{"concurrency": {"max": 1}}`

func (s *setup) begin() *sql.Tx {
	s.Helper()
	tx, err := s.db.BeginTx(s.Context(), nil)
	must(s.T, err)
	return tx
}

func TestTransactionIsOneCallAndItsStatementsPass(t *testing.T) {
	s := connected(t, oneAtATime, &fake{})
	tx := s.begin()
	_, err := tx.ExecContext(t.Context(), "ok")
	must(t, err)
	var n int
	must(t, tx.QueryRowContext(t.Context(), "rows").Scan(&n))
	prepared, err := tx.PrepareContext(t.Context(), "ok")
	must(t, err)
	_, err = prepared.ExecContext(t.Context())
	must(t, err)
	if s.stats().InFlight != 1 {
		t.Fatal("holds no permit")
	}
	_, err = s.db.ExecContext(t.Context(), "ok")
	mustBe(t, err, tidegate.ErrRefusedConcurrency)
	must(t, tx.Commit())
	if got := s.stats(); got.InFlight != 0 || got.Calls[tidegate.Success] != 3 { // connect, ping, transaction
		t.Fatalf("%+v", got)
	}
}

func TestTransactionIsJudgedByItsFirstBadStatement(t *testing.T) {
	s := connected(t, oneAtATime, &fake{errs: map[string]error{"fails": errBackend}})
	tx := s.begin()
	_, err := tx.ExecContext(t.Context(), "fails")
	mustBe(t, err, errBackend)
	_, err = tx.ExecContext(t.Context(), "ok")
	must(t, err)
	must(t, tx.Rollback())
	s.ended(tidegate.Failure)
}

func TestFailedRowsInATransactionCount(t *testing.T) {
	s := connected(t, oneAtATime, &fake{errs: map[string]error{"broken": errBackend}})
	tx := s.begin()
	rows, err := tx.QueryContext(t.Context(), "rows broken")
	must(t, err)
	for rows.Next() {
	}
	mustBe(t, rows.Err(), errBackend)
	must(t, tx.Rollback())
	s.ended(tidegate.Failure)
}

func TestFailedCommitIsAFailure(t *testing.T) {
	s := connected(t, oneAtATime, &fake{ending: errBackend})
	mustBe(t, s.begin().Commit(), errBackend)
	s.ended(tidegate.Failure)
}

func TestCommitAndRollbackAreNeverRefused(t *testing.T) {
	s := connected(t, `{"rate": [{"limit": 1, "per": "1h", "burst": 3}]}`, &fake{})
	tx := s.begin()
	_, err := s.db.ExecContext(t.Context(), "ok")
	mustBe(t, err, tidegate.ErrRefusedRate)
	must(t, tx.Commit())
	if !slices.Contains(s.fake.log, "commit") {
		t.Fatal(s.fake.log)
	}
}

func TestDeadlineOfTheTransactionEndsItsStatements(t *testing.T) {
	s := connected(t, `{"timeout": "1s"}`, &fake{})
	tx := s.begin()
	s.fake.onWait = func() { must(t, s.rt.Clock().Advance(time.Second)) }
	_, err := tx.ExecContext(t.Context(), "wait")
	mustBe(t, err, context.DeadlineExceeded)
	must(t, tx.Rollback())
	s.ended(tidegate.TimedOut)
}

func TestTransactionOfACallerWhoLeavesIsGivenBack(t *testing.T) {
	s := connected(t, `{}`, &fake{})
	ctx, leave := context.WithCancel(t.Context())
	tx, err := s.db.BeginTx(ctx, nil)
	must(t, err)
	s.fake.onWait = leave
	_, err = tx.ExecContext(ctx, "wait")
	mustBe(t, err, context.Canceled)
	_ = tx.Rollback() // database/sql may be about it already, in a goroutine of its own
	for s.stats().InFlight != 0 {
		runtime.Gosched()
	}
	s.ended(tidegate.Cancelled)
}

func TestPanicInATransactionIsAFailureOnce(t *testing.T) {
	s := connected(t, oneAtATime, &fake{})
	func() {
		tx := s.begin()
		defer tx.Rollback()
		defer func() { _ = recover() }()
		_, _ = tx.ExecContext(t.Context(), "panic")
	}()
	s.ended(tidegate.Failure)
}

func TestStatementAfterATransactionIsGuardedAgain(t *testing.T) {
	s := connected(t, `{"rate": [{"limit": 1, "per": "1h", "burst": 3}]}`, &fake{})
	must(t, s.begin().Commit())
	_, err := s.db.ExecContext(t.Context(), "ok")
	mustBe(t, err, tidegate.ErrRefusedRate)
}
