// Package load makes calls at moments laid down beforehand, whether or not earlier ones were answered (an open loop),
// and measures from the moment at which a call was to be made: a slow service can neither slow the load down nor hide
// how long its callers waited ("coordinated omission", Gil Tene).
package load

import (
	"context"
	"sync"
	"time"

	"github.com/tidegate/tidegate/overload/tally"
)

// Run makes the calls from begin on and returns, when the last one has ended, how each did, in their order. When ctx ends
// it makes no more, and leaves the rest out. An answer that comes later than deadline after its call was to be made
// is late.
func Run(ctx context.Context, calls []Arrival, begin time.Time, deadline time.Duration,
	ask func(context.Context, Arrival) (end tally.End, attempts int)) []tally.Call {
	ends := make([]tally.Call, len(calls))
	var out sync.WaitGroup
	defer out.Wait()
	for i, call := range calls {
		if !sleepUntil(ctx, begin.Add(call.At)) {
			return ends[:i]
		}
		out.Add(1)
		go func() {
			defer out.Done()
			end := tally.Call{At: call.At, Criticality: call.Criticality, Sent: time.Since(begin)}
			end.End, end.Attempts = ask(ctx, call)
			end.Took = time.Since(begin) - call.At
			if end.End == tally.Good && end.Took > deadline {
				end.End = tally.Late
			}
			ends[i] = end
		}()
	}
	return ends
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	left := time.Until(at)
	if left <= 0 {
		return ctx.Err() == nil
	}
	wait := time.NewTimer(left)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}
