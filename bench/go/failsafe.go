package main

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/priority"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
)

// failsafeCases holds each policy alone, and the three in one executor as a guard (with no histogram: it has none).
func failsafeCases() []benchCase {
	cases := []benchCase{failsafeLimiter(), failsafeBreaker(), failsafeGuard()}
	return append(append(cases, failsafePermits()...), failsafeAttempts()...)
}

// failsafePermits are policies that are asked, and told how the call ended.
func failsafePermits() []benchCase {
	places, throttler := bulkhead.New[int](1_000_000), adaptivethrottler.NewWithDefaults[int]()
	adaptive := adaptivelimiter.NewWithDefaults[int]()
	byPriority := adaptivelimiter.NewBuilder[int]().BuildPrioritized(adaptivelimiter.NewPrioritizer())
	ctx := context.Background()
	return []benchCase{
		yesCase("concurrency", "failsafe-go", func() bool {
			if !places.TryAcquirePermit() {
				return false
			}
			places.ReleasePermit()
			return true
		}),
		yesCase("gradient2", "failsafe-go", func() bool {
			permit, ok := adaptive.TryAcquirePermit()
			if ok {
				permit.Record()
			}
			return ok
		}),
		yesCase("shed", "failsafe-go", func() bool {
			permit, err := byPriority.AcquirePermitWithPriority(ctx, priority.Low)
			if err == nil {
				permit.Record()
			}
			return err == nil
		}),
		yesCase("throttle", "failsafe-go", func() bool {
			ok := throttler.TryAcquirePermit()
			throttler.RecordSuccess()
			return ok
		}),
	}
}

// failsafeAttempts are executors: a breaker that looks at the last hundred calls, and policies around attempts. Retries are
// made at once, and nothing takes as long as the other two allow.
func failsafeAttempts() []benchCase {
	byCount := circuitbreaker.NewBuilder[int]().WithFailureThresholdRatio(50, 100).WithDelay(5 * time.Second).Build()
	retry := failsafe.With[int](retrypolicy.NewWithDefaults[int]())
	return []benchCase{
		failsafeExecutor("breaker_count", failsafe.With[int](byCount)),
		failsafeExecutor("retry", retry),
		freely(eachCase("retry_decision", "failsafe-go", func() func() bool {
			fn := failingOnce()
			return func() bool { return retry.Run(fn) == nil }
		})),
		freely(failsafeExecutor("hedge", failsafe.With[int](hedgepolicy.NewWithDelay[int](time.Second)))),
		failsafeExecutor("deadline", failsafe.With[int](timeout.New[int](time.Second))),
	}
}

func newFailsafeLimiter() ratelimiter.RateLimiter[int] {
	return ratelimiter.NewBursty[int](1_000_000_000, time.Second)
}

// newFailsafeBreaker opens on half of at least 20 calls in ten seconds.
func newFailsafeBreaker() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().
		WithFailureRateThreshold(0.5, 20, 10*time.Second).
		WithDelay(5 * time.Second).
		Build()
}

func failsafeLimiter() benchCase {
	limiter := newFailsafeLimiter()
	return benchCase{Work: "token_bucket", Who: "failsafe-go", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if !limiter.TryAcquirePermit() {
					fail("failsafe-go refused")
				}
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

func failsafeBreaker() benchCase {
	return failsafeExecutor("breaker", failsafe.With[int](newFailsafeBreaker()))
}

func failsafeGuard() benchCase {
	return failsafeExecutor("guard", failsafe.With[int](
		newFailsafeLimiter(),
		bulkhead.New[int](1_000_000),
		newFailsafeBreaker(),
	))
}

func failsafeExecutor(work string, executor failsafe.Executor[int]) benchCase {
	return benchCase{Work: work, Who: "failsafe-go", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if _, err := executor.Get(succeed); err != nil {
					fail(err)
				}
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}
