package main

import (
	"context"
	"time"

	"github.com/RussellLuo/slidingwindow"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	"go.uber.org/ratelimit"
	"golang.org/x/sync/semaphore"
)

// smallCases are peers with one discipline each: uber's pacing at a call a nanosecond, so that none waits, the
// semaphore of x/sync, ulule's fixed window in memory, whose key is always the same, and a sliding window in two counters.
func smallCases() []benchCase {
	paced, places := ratelimit.New(1e9), semaphore.NewWeighted(1_000_000)
	fixed := limiter.New(memory.NewStore(), limiter.Rate{Period: 10 * time.Millisecond, Limit: 1e9})
	sliding, _ := slidingwindow.NewLimiter(10*time.Millisecond, 1e9,
		func() (slidingwindow.Window, slidingwindow.StopFunc) { return slidingwindow.NewLocalWindow() })
	ctx := context.Background()
	return []benchCase{
		yesCase("fixed_window", "ulule/limiter", func() bool {
			found, err := fixed.Get(ctx, "bench")
			return err == nil && !found.Reached
		}),
		yesCase("sliding_counter", "RussellLuo/slidingwindow", sliding.Allow),
		yesCase("pacing", "uber-go/ratelimit", func() bool { return !paced.Take().IsZero() }),
		yesCase("concurrency", "golang.org/x/sync", func() bool {
			if !places.TryAcquire(1) {
				return false
			}
			places.Release(1)
			return true
		}),
	}
}
