package grpc

import (
	"context"
	"sync"

	"github.com/tidegate/tidegate/bindings/go"
)

// call is one guarded call, from enter to exit. Its permit is empty for a
// method that is not guarded, which an exit of does nothing.
type call struct {
	permit   tidegate.Permit
	classify tidegate.Classifier
	caller   context.Context
	cancel   context.CancelFunc
	once     sync.Once
}

// context is the caller's, with the permit's deadline.
func (c *call) context() (ctx context.Context) {
	ctx, c.cancel = c.permit.Context(c.caller)
	return ctx
}

// end judges how the call ended, and exits.
func (c *call) end(err error) tidegate.Outcome {
	outcome := c.classify(c.caller, err)
	c.exit(outcome)
	return outcome
}

// exit counts the first time only.
func (c *call) exit(outcome tidegate.Outcome) {
	c.once.Do(func() {
		_ = c.permit.Exit(outcome)
		if c.cancel != nil {
			c.cancel()
		}
	})
}

// unless exits a call that panicked, or ended its goroutine, before returned.
func (c *call) unless(returned *bool) {
	if !*returned {
		c.exit(tidegate.Failure)
	}
}
