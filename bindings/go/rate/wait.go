package rate

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

// Wait is WaitN of one event.
func (lim *Limiter) Wait(ctx context.Context) error { return lim.WaitN(ctx, 1) }

// WaitN blocks until n events may happen. It returns an error when n exceeds the
// burst, when ctx ends, or at once when the wait would outlast its deadline.
func (lim *Limiter) WaitN(ctx context.Context, n int) error {
	return lim.wait(ctx, n, time.Now(), lim.sleep)
}

func (lim *Limiter) wait(ctx context.Context, n int, t time.Time, sleep func(context.Context, time.Duration) error) error {
	if numbers := lim.b.Numbers(); n > numbers.Burst && Limit(numbers.Limit) != Inf {
		lim.b.Reject()
		return fmt.Errorf("rate: Wait(n=%d) exceeds limiter's burst %d", n, numbers.Burst)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	longest := uint64(bucket.Forever)
	if deadline, ok := ctx.Deadline(); ok {
		longest = uint64(max(deadline.Sub(t), 0))
	}
	var made bucket.Reserved
	at := lim.at(t)
	if lim.virtual != nil {
		at = lim.now()
	}
	wait, ok := lim.b.Reserve(at, tokens(n), longest, &made)
	if !ok {
		return fmt.Errorf("rate: Wait(n=%d) would exceed context deadline", n)
	}
	if wait == 0 {
		return nil
	}
	if err := sleep(ctx, time.Duration(min(wait, math.MaxInt64))); err != nil {
		lim.b.Cancel(lim.now(), &made)
		return err
	}
	return nil
}

// sleep waits on the limiter's clock.
func (lim *Limiter) sleep(ctx context.Context, d time.Duration) error {
	if lim.virtual != nil {
		return lim.virtual.Sleep(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
