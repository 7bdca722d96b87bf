package main

import (
	"go.uber.org/ratelimit"
	"golang.org/x/sync/semaphore"
)

// smallCases are peers with one discipline each: uber's pacing at a call a nanosecond, so that none waits, and the
// semaphore of x/sync.
func smallCases() []benchCase {
	limiter, places := ratelimit.New(1e9), semaphore.NewWeighted(1_000_000)
	return []benchCase{
		yesCase("pacing", "uber-go/ratelimit", func() bool { return !limiter.Take().IsZero() }),
		yesCase("concurrency", "golang.org/x/sync", func() bool {
			if !places.TryAcquire(1) {
				return false
			}
			places.Release(1)
			return true
		}),
	}
}
