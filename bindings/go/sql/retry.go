package sql

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/tidegate/tidegate/bindings/go"
)

// wholeKey marks the context of what is tried again as a whole: retries inside
// retries multiply.
type wholeKey struct{}

// try makes the attempts at an operation that the guard's rules allow. Each
// asks the guard; then attempt ends its call, or leaves that to what it gives.
func (g *guarded) try(ctx context.Context, op Operation, on *conn, attempt func(*call) error) error {
	a, opts := attempts{guarded: g, caller: ctx, on: on, attempt: attempt}, g.about(ctx, op)
	if ctx.Value(wholeKey{}) != nil {
		return a.next(opts).Err
	}
	return g.guard.RetryAttempts(ctx, a.next, opts...)
}

// about is what the guard is told of a call.
func (g *guarded) about(ctx context.Context, op Operation) (opts []tidegate.CallOption) {
	if g.options.Call != nil {
		opts = g.options.Call(ctx, op)
	}
	if !g.options.Idempotent(op) {
		opts = append(opts[:len(opts):len(opts)], tidegate.WithOnce())
	}
	return opts
}

// attempts are those at one operation.
type attempts struct {
	guarded *guarded
	caller  context.Context
	on      *conn // nil: it is to be made
	attempt func(*call) error
	before  error // of the last attempt that may have reached the database
}

func (a *attempts) next(opts []tidegate.CallOption) tidegate.Attempt {
	c, err := a.guarded.enter(a.caller, opts)
	if err != nil {
		return tidegate.Attempt{Err: err, Outcome: tidegate.Cancelled, Refused: errors.Is(err, tidegate.ErrRefused)}
	}
	err = a.attempt(c)
	switch {
	case err == nil:
		return tidegate.Attempt{}
	case errors.Is(err, driver.ErrBadConn):
		return tidegate.Attempt{Err: a.badConn(err), Outcome: c.outcome, Final: true}
	case a.guarded.options.Undone(err):
		c.outcome = tidegate.Failure
	}
	a.before = err
	return tidegate.Attempt{Err: err, Outcome: c.outcome, Final: a.on != nil && !a.on.IsValid()}
}

// badConn leaves an ErrBadConn to database/sql, which tries another connection,
// unless that would make it begin anew what was tried before.
func (a *attempts) badConn(err error) error {
	if a.before == nil {
		return err
	}
	if a.on != nil {
		a.on.lost = true
	}
	return a.before
}
