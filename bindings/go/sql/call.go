package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"

	"github.com/tidegate/tidegate/bindings/go"
)

// guarded is what every wrapper knows.
type guarded struct {
	guard   *tidegate.Guard
	options Options
}

// do makes a call that ends when fn returns. Every single call goes through
// here, save those whose permit lives on in rows or a transaction. on is the
// connection; nil: it is to be made.
func (g *guarded) do(ctx context.Context, op Operation, on *conn, fn func(context.Context) error) error {
	return g.try(ctx, op, on, func(c *call) error {
		defer c.unlessEnded()
		err := fn(c.ctx)
		c.end(err)
		return err
	})
}

func (g *guarded) enter(ctx context.Context, opts []tidegate.CallOption) (*call, error) {
	c := &call{caller: ctx, classify: g.options.Classify}
	var err error
	if c.permit, err = g.guard.Enter(ctx, opts...); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = c.permit.Context(ctx)
	return c, nil
}

// call is one guarded call, from enter to exit.
type call struct {
	permit   tidegate.Permit
	classify tidegate.Classifier
	caller   context.Context
	ctx      context.Context // the caller's, with the permit's deadline
	cancel   context.CancelFunc
	once     sync.Once
	outcome  tidegate.Outcome // as end judged it
	worst    tidegate.Outcome // of a transaction: its first statement that went wrong
}

// end judges how the call ended, and exits; the first time counts.
func (c *call) end(err error) {
	c.outcome = c.judge(c.caller, err)
	c.exit(c.outcome)
}

// judge takes what a driver made of the permit's deadline for what it was.
func (c *call) judge(caller context.Context, err error) tidegate.Outcome {
	outcome := c.classify(caller, err)
	if outcome == tidegate.Failure && errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		return tidegate.TimedOut
	}
	return outcome
}

func (c *call) exit(outcome tidegate.Outcome) {
	c.once.Do(func() {
		_ = c.permit.Exit(outcome)
		c.cancel()
	})
}

// unlessEnded exits a call that panicked, or ended its goroutine.
func (c *call) unlessEnded() { c.exit(tidegate.Failure) }

// values are the arguments for a driver that knows no context and no names.
func values(named []driver.NamedValue) ([]driver.Value, error) {
	plain := make([]driver.Value, len(named))
	for i, arg := range named {
		if arg.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		plain[i] = arg.Value
	}
	return plain, nil
}
