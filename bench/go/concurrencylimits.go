package main

import (
	"context"
	"time"

	"github.com/platinummonkey/go-concurrency-limits/core"
	"github.com/platinummonkey/go-concurrency-limits/limit"
	"github.com/platinummonkey/go-concurrency-limits/limiter"
	"github.com/platinummonkey/go-concurrency-limits/strategy"
)

// concurrencyLimitsCases are Netflix's adaptive limits as go-concurrency-limits has them: a place is acquired, and given
// back as a success. The settings are its defaults, but for the shortest call that it learns from, which is 100 µs.
func concurrencyLimitsCases() ([]benchCase, error) {
	var cases []benchCase
	for _, adaptive := range []struct {
		work  string
		limit core.Limit
	}{
		{"aimd", limit.NewDefaultAIMDLimit("aimd", nil)},
		{"vegas", limit.NewDefaultVegasLimit("vegas", limit.NoopLimitLogger{}, nil)},
		{"gradient2", limit.NewDefaultGradient2Limit("gradient2", limit.NoopLimitLogger{}, nil)},
	} {
		places, err := limiter.NewDefaultLimiter(adaptive.limit, int64(time.Second), int64(time.Second), 0, 100,
			strategy.NewSimpleStrategy(adaptive.limit.EstimatedLimit()), limit.NoopLimitLogger{}, nil)
		if err != nil {
			return nil, err
		}
		cases = append(cases, yesCase(adaptive.work, "go-concurrency-limits", func() bool {
			place, ok := places.Acquire(context.Background())
			if ok {
				place.OnSuccess()
			}
			return ok
		}))
	}
	return cases, nil
}
