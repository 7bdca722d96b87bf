package sql_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"
)

// fake is a database whose statements say what becomes of them: "ok", "rows N",
// "wait" (until the context ends), "panic", "skip", or the name of an error in
// errs. modern drivers know contexts; old ones have what database/sql began with.
type fake struct {
	old  bool
	errs map[string]error
	next map[string][]error // what a statement, "connect", "begin", "commit" or "prepare …" gives first, in turn

	log     []string // what was asked of it
	failing error    // of connecting
	ending  error    // of commit and rollback
	onWait  func()
}

// seen logs what was asked, and gives the error that is next for it.
func (f *fake) seen(what string) error {
	f.log = append(f.log, what)
	coming := f.next[what]
	if len(coming) == 0 {
		return nil
	}
	f.next[what] = coming[1:]
	return coming[0]
}

func (f *fake) Connect(context.Context) (driver.Conn, error) {
	if err := f.seen("connect"); err != nil {
		return nil, err
	}
	if f.failing != nil {
		return nil, f.failing
	}
	if f.old {
		return oldConn{f}, nil
	}
	return modernConn{oldConn{f}}, nil
}

func (f *fake) Driver() driver.Driver                 { return fakeDriver{f} }
func (f *fake) Close() error                          { f.log = append(f.log, "close"); return nil }
func (f *fake) Open(name string) (driver.Conn, error) { return f.Connect(context.Background()) }

// fakeDriver is registered by name; it has no connectors.
type fakeDriver struct{ *fake }

func (f *fake) run(ctx context.Context, statement string) error {
	if err := f.seen(statement); err != nil {
		return err
	}
	switch statement {
	case "panic":
		panic("no")
	case "skip":
		return driver.ErrSkip
	case "wait":
		if f.onWait != nil {
			f.onWait()
		}
		<-ctx.Done()
		return ctx.Err()
	}
	return f.errs[statement]
}

type oldConn struct{ f *fake }

func (c oldConn) Close() error { return nil }
func (c oldConn) Begin() (driver.Tx, error) {
	return fakeTx{c.f}, c.f.seen("begin")
}
func (c oldConn) Prepare(query string) (driver.Stmt, error) {
	c.f.log = append(c.f.log, "prepare "+query)
	return oldStmt{c.f, query}, nil
}

// modernConn runs statements at once. Embedding hides nothing of an oldConn.
type modernConn struct{ oldConn }

func (c modernConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(len(args)), c.f.run(ctx, query)
}

func (c modernConn) QueryContext(ctx context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	return open(c.f, query), c.f.run(ctx, query)
}

func (c modernConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return modernStmt{oldStmt{c.f, query}}, c.f.seen("prepare " + query)
}

func (c modernConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return c.Begin()
}
func (c modernConn) Ping(ctx context.Context) error         { return c.f.run(ctx, "ping") }
func (c modernConn) ResetSession(ctx context.Context) error { return c.f.run(ctx, "reset") }
func (c modernConn) IsValid() bool                          { return c.f.errs["invalid"] == nil }
func (c modernConn) CheckNamedValue(v *driver.NamedValue) error {
	if v.Value == "forbidden" {
		return errors.New("checked by the driver")
	}
	return driver.ErrSkip
}

type oldStmt struct {
	f     *fake
	query string
}

func (s oldStmt) Close() error  { return nil }
func (s oldStmt) NumInput() int { return -1 }
func (s oldStmt) Exec(args []driver.Value) (driver.Result, error) {
	return driver.RowsAffected(len(args)), s.f.run(context.Background(), s.query)
}
func (s oldStmt) Query([]driver.Value) (driver.Rows, error) {
	return open(s.f, s.query), s.f.run(context.Background(), s.query)
}

type modernStmt struct{ oldStmt }

func (s modernStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(len(args)), s.f.run(ctx, s.query)
}
func (s modernStmt) QueryContext(ctx context.Context, _ []driver.NamedValue) (driver.Rows, error) {
	return open(s.f, s.query), s.f.run(ctx, s.query)
}

// ColumnConverter spells strings in capitals.
func (s modernStmt) ColumnConverter(int) driver.ValueConverter { return capitals{} }

type capitals struct{}

func (capitals) ConvertValue(v any) (driver.Value, error) {
	if text, ok := v.(string); ok {
		return strings.ToUpper(text), nil
	}
	return driver.DefaultParameterConverter.ConvertValue(v)
}

type fakeTx struct{ f *fake }

func (t fakeTx) Commit() error   { return t.end("commit") }
func (t fakeTx) Rollback() error { return t.end("rollback") }
func (t fakeTx) end(how string) error {
	if err := t.f.seen(how); err != nil {
		return err
	}
	return t.f.ending
}

// fakeRows are three, of which "rows broken" has an error for the second.
type fakeRows struct {
	f      *fake
	query  string
	at     int
	second bool
}

func open(f *fake, query string) driver.Rows { return &fakeRows{f: f, query: query} }

func (r *fakeRows) Columns() []string { return []string{"n"} }
func (r *fakeRows) Close() error      { return nil }
func (r *fakeRows) Next(into []driver.Value) error {
	if r.at++; r.at > 3 {
		return io.EOF
	}
	if r.query == "rows broken" && r.at == 2 {
		return r.f.errs["broken"]
	}
	into[0] = int64(r.at)
	return nil
}
func (r *fakeRows) HasNextResultSet() bool                            { return !r.second }
func (r *fakeRows) NextResultSet() error                              { r.second, r.at = true, 0; return nil }
func (r *fakeRows) ColumnTypeDatabaseTypeName(int) string             { return "NUMBER" }
func (r *fakeRows) ColumnTypeLength(int) (int64, bool)                { return 7, true }
func (r *fakeRows) ColumnTypeNullable(int) (bool, bool)               { return true, true }
func (r *fakeRows) ColumnTypePrecisionScale(int) (int64, int64, bool) { return 10, 2, true }
