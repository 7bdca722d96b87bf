package sql_test

import (
	"database/sql"
	"reflect"
	"testing"

	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

func TestColumnsSayWhatTheDriverSays(t *testing.T) {
	s := connected(t, `{}`, &fake{})
	rows, err := s.db.QueryContext(t.Context(), "rows")
	must(t, err)
	defer rows.Close()
	types, err := rows.ColumnTypes()
	must(t, err)
	length, _ := types[0].Length()
	nullable, _ := types[0].Nullable()
	precision, scale, _ := types[0].DecimalSize()
	if types[0].DatabaseTypeName() != "NUMBER" || length != 7 || !nullable || precision != 10 || scale != 2 ||
		types[0].ScanType() != reflect.TypeFor[any]() {
		t.Fatalf("%+v", types[0])
	}
}

func TestStatementThatADriverPreparesFirstIsTwoCalls(t *testing.T) {
	for _, f := range []*fake{{old: true}, {}} {
		s := connected(t, `{}`, f)
		statement := "ok"
		if !f.old {
			statement = "skip" // says so only when it is asked
		}
		result, err := s.db.ExecContext(t.Context(), statement, 1)
		if f.old {
			must(t, err)
			if n, _ := result.RowsAffected(); n != 1 {
				t.Fatal(n)
			}
		}
		calls := s.stats().Calls
		if want := map[bool][6]uint64{true: {0: 3}, false: {0: 3, 5: 2}}[f.old]; calls != want {
			t.Fatalf("old %v: %v, want %v (%v)", f.old, calls, want, f.log)
		}
	}
}

func TestOldDriverIsUsedAsDatabaseSQLWould(t *testing.T) {
	s := guarded(t, `{}`, &fake{old: true, errs: map[string]error{"fails": errBackend}})
	var n int
	must(t, s.db.QueryRowContext(t.Context(), "rows").Scan(&n))
	_, err := s.db.ExecContext(t.Context(), "ok", sql.Named("a", 1))
	if err == nil {
		t.Fatal("took a name")
	}
	_, err = s.db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err == nil {
		t.Fatal("took a read-only transaction")
	}
	_, err = s.db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err == nil {
		t.Fatal("took an isolation level")
	}
	tx, err := s.db.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.ExecContext(t.Context(), "fails")
	mustBe(t, err, errBackend)
	must(t, tx.Rollback())
	if s := s.stats(); s.InFlight != 0 || s.MisusedExits != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestDriversOwnChecksOfArgumentsAreAsked(t *testing.T) {
	s := connected(t, `{}`, &fake{})
	_, err := s.db.ExecContext(t.Context(), "ok", "forbidden")
	if err == nil || err.Error() == "" {
		t.Fatal("the connection's check was not asked")
	}
	prepared, err := s.db.PrepareContext(t.Context(), "ok")
	must(t, err)
	defer prepared.Close()
	if _, err = prepared.ExecContext(t.Context(), "forbidden"); err == nil {
		t.Fatal("the statement did not ask the connection's check")
	}
	if _, err = prepared.ExecContext(t.Context(), struct{}{}); err == nil {
		t.Fatal("the columns' converter was not asked")
	}
}

func TestDriverIsStillThere(t *testing.T) {
	s := connected(t, `{}`, &fake{})
	if _, ok := s.db.Driver().(fakeDriver); !ok {
		t.Fatalf("%T", s.db.Driver())
	}
	connection, err := s.db.Conn(t.Context())
	must(t, err)
	defer connection.Close()
	must(t, connection.Raw(func(c any) error {
		if _, ok := tgsql.Base(c).(modernConn); !ok {
			t.Errorf("%T", c)
		}
		return nil
	}))
	if tgsql.Base(7) != 7 {
		t.Fatal("changed what is not ours")
	}
}
