package main

import (
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
)

// failsafeCases holds each policy alone, and the three in one executor as a guard (with no histogram: it has none).
func failsafeCases() []benchCase {
	return []benchCase{failsafeLimiter(), failsafeBreaker(), failsafeGuard()}
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
	return benchCase{"token_bucket", "failsafe-go", func() loop {
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
	return benchCase{work, "failsafe-go", func() loop {
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
