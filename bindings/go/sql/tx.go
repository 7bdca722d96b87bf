package sql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/tidegate/tidegate/bindings/go"
)

// tx is a transaction that holds its permit.
type tx struct {
	conn *conn
	base driver.Tx
	call *call
}

func (t *tx) Commit() error   { return t.finish(t.base.Commit) }
func (t *tx) Rollback() error { return t.finish(t.base.Rollback) }

// finish ends the call with the first thing that went wrong in it.
func (t *tx) finish(end func() error) error {
	t.conn.tx = nil
	defer t.call.unlessEnded()
	err := end()
	if outcome := t.call.worst; outcome != tidegate.Success {
		t.call.exit(outcome)
		return err
	}
	t.call.end(err)
	return err
}

// inside runs a statement within the transaction, under its deadline too.
func (c *call) inside(ctx context.Context, fn func(context.Context) error) error {
	joined, cancel := c.join(ctx)
	defer cancel()
	return c.noted(ctx, func() error { return fn(joined) })
}

// queryInside is inside for a query, whose context lives on in its rows.
func (c *call) queryInside(ctx context.Context, run func(context.Context) (driver.Rows, error)) (opened driver.Rows, err error) {
	joined, cancel := c.join(ctx)
	defer func() {
		if opened == nil {
			cancel()
		}
	}()
	var base driver.Rows
	if err := c.noted(ctx, func() (err error) { base, err = run(joined); return err }); err != nil {
		return nil, err
	}
	return &rows{base: base, caller: ctx, end: func(err error) {
		_ = c.note(ctx, err)
		cancel()
	}}, nil
}

// join ends a statement's context with that of the transaction, which is the
// one that has the permit's deadline.
func (c *call) join(ctx context.Context) (context.Context, context.CancelFunc) {
	joined, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(c.ctx, cancel)
	return joined, func() {
		unlink()
		cancel()
	}
}

// noted runs a statement and notes how it ended; a panic is noted and goes on.
func (c *call) noted(ctx context.Context, statement func() error) error {
	returned := false
	defer func() {
		if !returned && c.worst == tidegate.Success {
			c.worst = tidegate.Failure
		}
	}()
	err := statement()
	returned = true
	return c.note(ctx, err)
}

// note keeps the first outcome of the transaction's statements that is not a
// success. It gives the error, which is the deadline's where the transaction's
// end was what ended the statement.
func (c *call) note(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && ctx.Err() == nil && c.ctx.Err() != nil {
		err = c.ctx.Err()
	}
	if c.worst == tidegate.Success && !errors.Is(err, driver.ErrSkip) {
		c.worst = c.judge(ctx, err)
	}
	return err
}
