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
	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

var errBackend = errors.New("database failed")

// setup gives a pool of one connection over the fake, behind the guard "db".
type setup struct {
	*testing.T
	rt    *tidegate.Runtime
	guard *tidegate.Guard
	fake  *fake
	db    *sql.DB
}

func guarded(t *testing.T, rules string, f *fake, options ...tgsql.Options) *setup {
	t.Helper()
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := tidegate.Open(tidegate.WithVirtualClock(time.Hour))
	must(t, err)
	must(t, rt.ApplyRules([]byte(`{"version": 1, "guards": {"db": `+rules+`}}`)))
	guard, err := rt.Guard("db")
	must(t, err)
	db := sql.OpenDB(tgsql.NewConnector(f, guard, options...))
	db.SetMaxOpenConns(2)
	t.Cleanup(func() { must(t, db.Close()); must(t, rt.Close()) })
	return &setup{t, rt, guard, f, db}
}

// connected has made its connection already, whose call is not counted by ended.
func connected(t *testing.T, rules string, f *fake, options ...tgsql.Options) *setup {
	t.Helper()
	s := guarded(t, rules, f, options...)
	must(t, s.db.PingContext(t.Context()))
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func (s *setup) stats() tidegate.GuardStats {
	s.Helper()
	stats, err := s.guard.Stats()
	must(s.T, err)
	return stats
}

// ended checks that nothing is in flight, nothing was exited twice, and one
// call ended with this outcome beyond the connect's and ping's.
func (s *setup) ended(outcome tidegate.Outcome) {
	s.Helper()
	want := [6]uint64{}
	want[tidegate.Success] = 2
	if s.fake.old { // cannot ping
		want[tidegate.Success] = 1
	}
	want[outcome]++
	if got := s.stats(); got.Calls != want || got.InFlight != 0 || got.MisusedExits != 0 {
		s.Fatalf("want %v, got %v, %d in flight, %d misused", want, got.Calls, got.InFlight, got.MisusedExits)
	}
}

func TestStatementIsACall(t *testing.T) {
	for _, c := range []struct {
		statement string
		want      tidegate.Outcome
	}{{"ok", tidegate.Success}, {"fails", tidegate.Failure}} {
		s := connected(t, `{}`, &fake{errs: map[string]error{"fails": errBackend}})
		result, err := s.db.ExecContext(t.Context(), c.statement, 1, 2)
		if c.want == tidegate.Success {
			must(t, err)
			if n, _ := result.RowsAffected(); n != 2 {
				t.Fatal("arguments got lost")
			}
		} else {
			mustBe(t, err, errBackend)
		}
		s.ended(c.want)
	}
}

func TestRefusalComesOutAsItIs(t *testing.T) {
	s := connected(t, `{"rate": [{"limit": 1, "per": "1h", "burst": 2}]}`, &fake{})
	_, err := s.db.ExecContext(t.Context(), "ok")
	var refused *tidegate.RefusedError
	if !errors.As(err, &refused) || refused.Stage != tidegate.StageRate || refused.Guard != "db" {
		t.Fatal(err)
	}
	if slices.Contains(s.fake.log, "ok") {
		t.Fatal("was run all the same")
	}
	_, err = s.db.QueryContext(t.Context(), "rows")
	mustBe(t, err, tidegate.ErrRefusedRate)
	_, err = s.db.BeginTx(t.Context(), nil)
	mustBe(t, err, tidegate.ErrRefusedRate)
	_, err = s.db.PrepareContext(t.Context(), "ok")
	mustBe(t, err, tidegate.ErrRefusedRate)
	mustBe(t, s.db.PingContext(t.Context()), tidegate.ErrRefusedRate)
}

func TestQueryLastsAsLongAsItsRows(t *testing.T) {
	s := connected(t, `{}`, &fake{})
	rows, err := s.db.QueryContext(t.Context(), "rows")
	must(t, err)
	for n := 1; n <= 3; n++ {
		var got int
		if !rows.Next() || rows.Scan(&got) != nil || got != n {
			t.Fatal(got, rows.Err())
		}
		if s.stats().InFlight != 1 {
			t.Fatal("not in flight")
		}
	}
	if rows.Next() || !rows.NextResultSet() || !rows.Next() {
		t.Fatal("no second result")
	}
	must(t, rows.Close())
	must(t, rows.Close())
	s.ended(tidegate.Success)
}

func TestErrorInTheRowsIsTheCalls(t *testing.T) {
	s := connected(t, `{}`, &fake{errs: map[string]error{"broken": errBackend}})
	rows, err := s.db.QueryContext(t.Context(), "rows broken")
	must(t, err)
	for rows.Next() {
	}
	mustBe(t, rows.Err(), errBackend)
	s.ended(tidegate.Failure)
}

func TestRowsOfACallerWhoLeavesAreCancelled(t *testing.T) {
	s := connected(t, `{}`, &fake{})
	ctx, leave := context.WithCancel(t.Context())
	rows, err := s.db.QueryContext(ctx, "rows")
	must(t, err)
	leave()
	_ = rows.Close() // database/sql may have done it already
	s.ended(tidegate.Cancelled)
}

func TestNoRowsIsASuccess(t *testing.T) {
	if got := tgsql.Classify(t.Context(), sql.ErrNoRows); got != tidegate.Success {
		t.Fatal(got)
	}
}

func TestDeadlineOfTheRulesEndsAStatement(t *testing.T) {
	s := connected(t, `{"timeout": "1s"}`, &fake{})
	s.fake.onWait = func() { must(t, s.rt.Clock().Advance(time.Second)) }
	_, err := s.db.ExecContext(t.Context(), "wait")
	mustBe(t, err, context.DeadlineExceeded)
	s.ended(tidegate.TimedOut)
}

func TestPanicOfADriverIsAFailureAndGoesOn(t *testing.T) {
	for _, use := range []func(*sql.DB) error{
		func(db *sql.DB) error { _, err := db.Exec("panic"); return err },
		func(db *sql.DB) error { _, err := db.Query("panic"); return err },
	} {
		s := connected(t, `{}`, &fake{})
		func() {
			defer func() {
				if recover() != "no" {
					t.Error("the panic was swallowed")
				}
			}()
			_ = use(s.db)
		}()
		s.ended(tidegate.Failure)
	}
}

func TestPreparedStatementIsGuardedEachTime(t *testing.T) {
	s := connected(t, `{}`, &fake{})
	prepared, err := s.db.PrepareContext(t.Context(), "ok")
	must(t, err)
	_, err = prepared.ExecContext(t.Context(), 1)
	must(t, err)
	rows, err := prepared.QueryContext(t.Context())
	must(t, err)
	must(t, rows.Close())
	must(t, prepared.Close())
	if s := s.stats(); s.Calls[tidegate.Success] != 5 || s.InFlight != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestFailedConnectIsACall(t *testing.T) {
	s := guarded(t, `{"breaker": {"consecutive_failures": 1}}`, &fake{failing: errBackend})
	_, err := s.db.ExecContext(t.Context(), "ok")
	mustBe(t, err, errBackend)
	_, err = s.db.ExecContext(t.Context(), "ok")
	mustBe(t, err, tidegate.ErrRefusedBreaker)
	if !slices.Equal(s.fake.log, []string{"connect"}) {
		t.Fatal(s.fake.log)
	}
}

func TestBadConnectionIsTriedAgainByDatabaseSQL(t *testing.T) {
	s := connected(t, `{}`, &fake{errs: map[string]error{"gone": driver.ErrBadConn}})
	_, err := s.db.ExecContext(t.Context(), "gone")
	mustBe(t, err, driver.ErrBadConn)
	if failures := s.stats().Calls[tidegate.Failure]; failures < 2 {
		t.Fatal(failures)
	}
}

func TestCallTellsTheGuardWhatItIs(t *testing.T) {
	var seen []tgsql.Operation
	options := tgsql.Options{
		Call: func(_ context.Context, op tgsql.Operation) []tidegate.CallOption {
			seen = append(seen, op)
			return []tidegate.CallOption{tidegate.WithCost(5)}
		},
		Classify: func(context.Context, error) tidegate.Outcome { return tidegate.Ignored },
	}
	s := guarded(t, `{"rate": [{"limit": 1, "per": "1h", "burst": 10}]}`, &fake{}, options)
	_, err := s.db.ExecContext(t.Context(), "ok")
	must(t, err)
	_, err = s.db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	mustBe(t, err, tidegate.ErrRefusedRate)
	want := []tgsql.Operation{{Kind: tgsql.Connect}, {Kind: tgsql.Exec, Query: "ok"}, {Kind: tgsql.Begin, ReadOnly: true}}
	if !slices.Equal(seen, want) || s.stats().Calls[tidegate.Ignored] != 2 {
		t.Fatal(seen, s.stats().Calls)
	}
}
