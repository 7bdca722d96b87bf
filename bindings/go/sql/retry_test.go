package sql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/clocktest"
	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

// atOnce tries again without a wait, so that no clock need move.
const atOnce = `{"retry": {"max_attempts": 3, "backoff": {"growth": "constant", "base": "0s", "jitter": "none"}}}`

const read = "SELECT n"

// times is how often the database was asked for this.
func (f *fake) times(what string) (n int) {
	for _, asked := range f.log {
		if asked == what {
			n++
		}
	}
	return n
}

// failing gives a fake for which this fails twice.
func failing(what string, err error) *fake {
	return &fake{next: map[string][]error{what: {err, err}}}
}

// asks makes a call, over one way into the database.
type asks func(context.Context, *sql.DB) error

func pings(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) }

func begins(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		err = tx.Rollback()
	}
	return err
}

func queries(query string) asks {
	return func(ctx context.Context, db *sql.DB) error {
		rows, err := db.QueryContext(ctx, query)
		if err == nil {
			err = rows.Close()
		}
		return err
	}
}

func executes(statement string) asks {
	return func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	}
}

func prepares(then func(context.Context, *sql.Stmt) error) asks {
	return func(ctx context.Context, db *sql.DB) error {
		prepared, err := db.PrepareContext(ctx, read)
		if err != nil {
			return err
		}
		defer prepared.Close()
		return then(ctx, prepared)
	}
}

func TestWhatMayBeMadeTwiceIsTriedAgain(t *testing.T) {
	nothing := func(context.Context, *sql.Stmt) error { return nil }
	scans := func(ctx context.Context, s *sql.Stmt) error { return s.QueryRowContext(ctx).Scan(new(int)) }
	runs := func(ctx context.Context, s *sql.Stmt) error { _, err := s.ExecContext(ctx); return err }
	for _, c := range []struct {
		what  string
		call  asks
		times int
	}{
		{"connect", pings, 3},
		{"ping", pings, 3},
		{"begin", begins, 3},
		{"prepare " + read, prepares(nothing), 3},
		{read, queries(read), 3},
		{read, prepares(scans), 3},
		{read, prepares(runs), 1},
		{read, executes(read), 1},
		{"INSERT RETURNING", queries("INSERT RETURNING"), 1},
	} {
		s := guarded(t, atOnce, failing(c.what, errBackend))
		err := c.call(t.Context(), s.db)
		if times := s.fake.times(c.what); times != c.times || (err == nil) != (c.times == 3) {
			t.Errorf("%s: %d times, %v (%v)", c.what, times, err, s.fake.log)
		}
		got := s.stats()
		if failures := min(c.times, 2); int(got.Calls[tidegate.Failure]) != failures || int(got.Retries) != c.times-1 || got.InFlight != 0 {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}

func TestQueriesThatReadAreToldByTheirBeginning(t *testing.T) {
	for query, want := range map[string]bool{
		"SELECT 1": true, " select*from t": true, "SHOW TABLES": true, "VALUES(1)": true, "SELECT 1; \n": true,
		"-- name: Get :one\nSELECT 1": true, "/* a */ -- b\n /* c */SELECT 1": true,
		"SELECT 1; DELETE FROM t": false, "INSERT INTO t VALUES (1) RETURNING n": false, "WITH a AS (DELETE) SELECT 1": false,
		"/*!50000 DELETE FROM t */ SELECT 1": false, "SELECTED": false, "SELECT": false, "": false, "-- SELECT 1": false, "/* SELECT 1": false,
	} {
		if got := tgsql.Idempotent(tgsql.Operation{Kind: tgsql.Query, Query: query}); got != want {
			t.Errorf("%q: %v", query, got)
		}
	}
}

func TestWhatMayBeMadeTwiceIsReplaceable(t *testing.T) {
	s := guarded(t, atOnce, failing("upsert", errBackend), tgsql.Options{Idempotent: func(op tgsql.Operation) bool { return op.Query == "upsert" }})
	must(t, executes("upsert")(t.Context(), s.db))
	s.fake.next[read] = []error{errBackend}
	mustBe(t, queries(read)(t.Context(), s.db), errBackend)
}

func TestOnlyOutcomesOfTheRulesAreTriedAgain(t *testing.T) {
	for err, times := range map[error]int{state("53300"): 3, state("40001"): 3, state("42601"): 1, errBackend: 3} {
		s := guarded(t, atOnce, failing(read, err))
		_ = queries(read)(t.Context(), s.db)
		if got := s.fake.times(read); got != times {
			t.Errorf("%v: %d times", err, got)
		}
	}
}

func TestRefusalIsTriedAgainWhateverWasToBeDone(t *testing.T) {
	s := guarded(t, `{"rate": [{"limit": 1, "per": "1m", "burst": 2}], "retry": {}}`, &fake{})
	clocktest.MoveOn(s.T, s.rt, time.Minute)
	for range 3 {
		must(t, executes("ok")(t.Context(), s.db))
	}
	if got := s.stats(); got.Rejected[tidegate.StageRate] == 0 || got.RetryBudget != 10 || s.fake.times("ok") != 3 {
		t.Fatalf("%+v", got)
	}
}

func TestAttemptsEndWithTheTimeOfTheCall(t *testing.T) {
	limited := tgsql.Options{Call: func(context.Context, tgsql.Operation) []tidegate.CallOption {
		return []tidegate.CallOption{tidegate.WithTimeLimit(time.Second)}
	}}
	s := guarded(t, `{"retry": {"backoff": {"growth": "constant", "base": "1s", "jitter": "none"}}}`, failing(read, errBackend), limited)
	mustBe(t, queries(read)(t.Context(), s.db), errBackend)
}

func TestBadConnectionIsLeftToDatabaseSQL(t *testing.T) {
	s := guarded(t, atOnce, &fake{errs: map[string]error{read: driver.ErrBadConn}})
	mustBe(t, queries(read)(t.Context(), s.db), driver.ErrBadConn)
	if got := s.stats(); s.fake.times(read) != 3 || got.Retries != 0 {
		t.Fatalf("%d times, %d retries: both repeated it", s.fake.times(read), got.Retries)
	}
}

func TestBadConnectionAfterAnAttemptDoesNotBeginAnew(t *testing.T) {
	f := &fake{next: map[string][]error{read: {errBackend, driver.ErrBadConn}}}
	s := guarded(t, atOnce, f)
	mustBe(t, queries(read)(t.Context(), s.db), errBackend)
	must(t, queries(read)(t.Context(), s.db))
	if f.times(read) != 3 || f.times("connect") != 2 {
		t.Fatal(f.log) // the lost connection was given up
	}
}

func TestAttemptsEndWithTheirConnection(t *testing.T) {
	s := guarded(t, atOnce, &fake{errs: map[string]error{read: errBackend, "invalid": errBackend}})
	mustBe(t, queries(read)(t.Context(), s.db), errBackend)
	if s.fake.times(read) != 1 {
		t.Fatal(s.fake.log)
	}
}

func TestNothingInATransactionIsTriedAgain(t *testing.T) {
	s := guarded(t, atOnce, failing(read, errBackend))
	tx := s.begin()
	_, err := tx.QueryContext(t.Context(), read)
	mustBe(t, err, errBackend)
	must(t, tx.Rollback())
	if s.fake.times(read) != 1 || s.stats().Retries != 0 {
		t.Fatal(s.fake.log)
	}
}

// transfers is what tests do in a transaction.
func transfers(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "transfer")
	return err
}

func TestWholeTransactionIsTriedAgain(t *testing.T) {
	again := []string{"begin", "transfer", "rollback", "begin", "transfer", "rollback", "begin", "transfer", "commit"}
	for _, c := range []struct {
		what string
		err  error
		want []string
	}{
		{"transfer", state("40001"), again},
		{"transfer", state("40P01"), again},
		{"transfer", errBackend, again[:3]},
		{"transfer", state("23505"), again[:3]},
		{"commit", state("40001"), []string{"begin", "transfer", "commit", "begin", "transfer", "commit", "begin", "transfer", "commit"}},
		{"commit", errBackend, []string{"begin", "transfer", "commit"}},
		{"commit", driver.ErrBadConn, []string{"begin", "transfer", "commit"}},
		{"begin", errBackend, []string{"begin", "begin", "begin", "transfer", "commit"}},
	} {
		s := connected(t, atOnce, failing(c.what, c.err))
		err := tgsql.InTx(t.Context(), s.guard, s.db, transfers)
		got := slices.DeleteFunc(s.fake.log, func(what string) bool {
			return !slices.Contains([]string{"begin", "transfer", "commit", "rollback"}, what)
		})
		if !slices.Equal(got, c.want) || (len(c.want) > 3) != (err == nil) || err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s, %v: %v, %v", c.what, c.err, got, err)
		}
		if figures := s.stats(); figures.InFlight != 0 || figures.MisusedExits != 0 {
			t.Errorf("%s, %v: %+v", c.what, c.err, figures)
		}
	}
}

func TestTransactionWhoseConnectionWasLostIsTriedAgain(t *testing.T) {
	s := guarded(t, atOnce, failing("transfer", driver.ErrBadConn))
	must(t, tgsql.InTx(t.Context(), s.guard, s.db, transfers))
	if s.fake.times("begin") != 3 || s.stats().Retries != 2 {
		t.Fatal(s.fake.log)
	}
}

func TestBadConnectionOfABeginIsNotRepeatedTwice(t *testing.T) {
	bad := slices.Repeat([]error{driver.ErrBadConn}, 9)
	s := guarded(t, atOnce, &fake{next: map[string][]error{"begin": bad}})
	mustBe(t, tgsql.InTx(t.Context(), s.guard, s.db, transfers), driver.ErrBadConn)
	if s.fake.times("begin") != 3 {
		t.Fatal(s.fake.log)
	}
}

func TestTransactionThatIsRefusedWaitsForItsTurn(t *testing.T) {
	s := guarded(t, `{"rate": [{"limit": 1, "per": "1m", "burst": 2}], "retry": {}}`, &fake{})
	clocktest.MoveOn(s.T, s.rt, time.Minute)
	for range 3 {
		must(t, tgsql.InTx(t.Context(), s.guard, s.db, transfers))
	}
	if s.fake.times("commit") != 3 || s.stats().Rejected[tidegate.StageRate] == 0 {
		t.Fatal(s.fake.log)
	}
}

func TestWhatATransactionIsTriedAgainForIsReplaceable(t *testing.T) {
	s := guarded(t, atOnce, failing("transfer", errBackend))
	options := tgsql.TxOptions{
		Begin:  &sql.TxOptions{ReadOnly: true},
		Undone: func(err error) bool { return errors.Is(err, errBackend) },
	}
	must(t, tgsql.InTx(t.Context(), s.guard, s.db, transfers, options))
}

func TestCallsWithinAWholeAreNotTriedAgainByThemselves(t *testing.T) {
	s := guarded(t, atOnce, failing(read, errBackend))
	mustBe(t, tgsql.InTx(t.Context(), s.guard, s.db, func(ctx context.Context, _ *sql.Tx) error {
		return queries(read)(ctx, s.db)
	}), errBackend)
	if s.fake.times(read) != 1 {
		t.Fatal(s.fake.log)
	}
}

func TestPanicInAWholeTransactionRollsBackAndGoesOn(t *testing.T) {
	s := connected(t, atOnce, &fake{})
	defer func() {
		if recover() != "no" || s.fake.times("rollback") != 1 || s.stats().InFlight != 0 {
			t.Fatal(s.fake.log)
		}
	}()
	_ = tgsql.InTx(t.Context(), s.guard, s.db, func(context.Context, *sql.Tx) error { panic("no") })
}
