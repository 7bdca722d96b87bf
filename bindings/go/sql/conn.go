package sql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/tidegate/tidegate/bindings/go"
)

// conn is a driver's connection. database/sql asks for what a connection can do
// by type, and has an answer for each thing that it cannot: conn can do all of
// it, and gives that same answer where its base cannot.
type conn struct {
	guarded *guarded
	base    driver.Conn
	tx      *call // the transaction under way; database/sql uses one goroutine at a time
	lost    bool  // the driver said so, and database/sql was not told
}

// do makes a call, or passes it with the transaction's permit.
func (c *conn) do(ctx context.Context, op Operation, fn func(context.Context) error) error {
	if c.tx != nil {
		return c.tx.inside(ctx, fn)
	}
	return c.guarded.do(ctx, op, c, fn)
}

// Close gives the transaction's permit back too, should one still be open.
func (c *conn) Close() error {
	if c.tx != nil {
		c.tx.exit(tidegate.Failure)
		c.tx = nil
	}
	return c.base.Close()
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	var prepared driver.Stmt
	err := c.do(ctx, Operation{Kind: Prepare, Query: query}, func(ctx context.Context) (err error) {
		prepared, err = prepare(ctx, c.base, query)
		return err
	})
	if err != nil {
		return nil, err
	}
	return newStmt(c, prepared, query), nil
}

func prepare(ctx context.Context, base driver.Conn, query string) (driver.Stmt, error) {
	if with, ok := base.(driver.ConnPrepareContext); ok {
		return with.PrepareContext(ctx, query)
	}
	prepared, err := base.Prepare(query)
	if err == nil && ctx.Err() != nil {
		_ = prepared.Close()
		return nil, ctx.Err()
	}
	return prepared, err
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (result driver.Result, err error) {
	run := execer(c.base, query, args)
	if run == nil {
		return nil, driver.ErrSkip
	}
	err = c.do(ctx, Operation{Kind: Exec, Query: query}, func(ctx context.Context) (err error) {
		result, err = run(ctx)
		return err
	})
	return result, err
}

// execer is how base runs a statement at once; nil when it cannot.
func execer(base driver.Conn, query string, args []driver.NamedValue) func(context.Context) (driver.Result, error) {
	if with, ok := base.(driver.ExecerContext); ok {
		return func(ctx context.Context) (driver.Result, error) { return with.ExecContext(ctx, query, args) }
	}
	if without, ok := base.(driver.Execer); ok { //nolint:staticcheck // drivers still have it
		return plainly(args, func(args []driver.Value) (driver.Result, error) { return without.Exec(query, args) })
	}
	return nil
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	run := queryer(c.base, query, args)
	if run == nil {
		return nil, driver.ErrSkip
	}
	return c.query(ctx, query, run)
}

func queryer(base driver.Conn, query string, args []driver.NamedValue) func(context.Context) (driver.Rows, error) {
	if with, ok := base.(driver.QueryerContext); ok {
		return func(ctx context.Context) (driver.Rows, error) { return with.QueryContext(ctx, query, args) }
	}
	if without, ok := base.(driver.Queryer); ok { //nolint:staticcheck // drivers still have it
		return plainly(args, func(args []driver.Value) (driver.Rows, error) { return without.Query(query, args) })
	}
	return nil
}

// plainly calls a driver that knows no context, as database/sql does.
func plainly[T any](named []driver.NamedValue, call func([]driver.Value) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (result T, err error) {
		args, err := values(named)
		if err != nil {
			return result, err
		}
		if ctx.Err() != nil {
			return result, ctx.Err()
		}
		return call(args)
	}
}

// query makes a call that lasts as long as its rows.
func (c *conn) query(ctx context.Context, query string, run func(context.Context) (driver.Rows, error)) (driver.Rows, error) {
	if c.tx != nil {
		return c.tx.queryInside(ctx, run)
	}
	var opened driver.Rows
	err := c.guarded.try(ctx, Operation{Kind: Query, Query: query}, c, func(call *call) (err error) {
		opened, err = call.query(run)
		return err
	})
	return opened, err
}

func (c *conn) Ping(ctx context.Context) error {
	pinger, ok := c.base.(driver.Pinger)
	if !ok {
		return nil
	}
	return c.do(ctx, Operation{Kind: Ping}, pinger.Ping)
}

func (c *conn) ResetSession(ctx context.Context) error {
	if resetter, ok := c.base.(driver.SessionResetter); ok {
		return resetter.ResetSession(ctx)
	}
	return nil
}

func (c *conn) IsValid() bool {
	validator, ok := c.base.(driver.Validator)
	return !c.lost && (!ok || validator.IsValid())
}

func (c *conn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.base.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx starts a transaction, which holds one permit to its end.
func (c *conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	var begun driver.Tx
	err := c.guarded.try(ctx, Operation{Kind: Begin, ReadOnly: options.ReadOnly}, c, func(call *call) error {
		base, err := call.begin(c.base, options)
		if err == nil {
			c.tx = call
			begun = &tx{conn: c, base: base, call: call}
		}
		return err
	})
	return begun, err
}

// begin starts a transaction whose end is the call's.
func (c *call) begin(base driver.Conn, options driver.TxOptions) (driver.Tx, error) {
	returned := false
	defer func() {
		if !returned {
			c.unlessEnded()
		}
	}()
	begun, err := begin(c.ctx, base, options)
	returned = true
	if err != nil {
		c.end(err)
	}
	return begun, err
}

func begin(ctx context.Context, base driver.Conn, options driver.TxOptions) (driver.Tx, error) {
	if with, ok := base.(driver.ConnBeginTx); ok {
		return with.BeginTx(ctx, options)
	}
	switch {
	case options.Isolation != 0:
		return nil, errors.New("sql: driver does not support non-default isolation level")
	case options.ReadOnly:
		return nil, errors.New("sql: driver does not support read-only transactions")
	}
	started, err := base.Begin() //nolint:staticcheck // the only way there is
	if err == nil && ctx.Err() != nil {
		_ = started.Rollback()
		return nil, ctx.Err()
	}
	return started, err
}
