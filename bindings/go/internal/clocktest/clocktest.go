// Package clocktest moves virtual clocks for tests.
package clocktest

import (
	"context"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

// MoveOn moves a runtime's clock on whenever a call waits, until the test ends.
func MoveOn(t *testing.T, rt *tidegate.Runtime, step time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for rt.Clock().BlockUntilWaiting(ctx, 1) == nil {
			_ = rt.Clock().Advance(step)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}
