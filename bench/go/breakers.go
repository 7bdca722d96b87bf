package main

import (
	"errors"

	"github.com/sony/gobreaker/v2"
	"github.com/tidegate/tidegate/bindings/go/breaker"
	"golang.org/x/time/rate"
)

var errRefused = errors.New("refused")

// newLimiter is a limit that is never reached: 10^9 a second, and as large a burst.
func newLimiter() *rate.Limiter { return rate.NewLimiter(1e9, 1_000_000_000) }

func rateAllow() benchCase {
	limiter := newLimiter()
	return benchCase{Work: "token_bucket", Who: "golang.org/x/time/rate", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if !limiter.Allow() {
					fail("x/time/rate refused")
				}
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

func newGobreaker() *gobreaker.CircuitBreaker[int] {
	return gobreaker.NewCircuitBreaker[int](gobreaker.Settings{Name: "payments.charge"})
}

func succeed() (int, error) { return 1, nil }

// gobreakerExecute has the default settings (consecutive failures), closed.
func gobreakerExecute() benchCase {
	breaker := newGobreaker()
	return benchCase{Work: "breaker", Who: "sony/gobreaker v2", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if _, err := breaker.Execute(succeed); err != nil {
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

// dropIn is the same of the package that stands in for gobreaker.
func dropIn() benchCase {
	cb := breaker.NewCircuitBreaker[int](breaker.Settings{Name: "payments.charge"})
	return benchCase{Work: "breaker", Who: "tidegate-gobreaker", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if _, err := cb.Execute(succeed); err != nil {
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

// composed is what a Go service puts together most often: x/time/rate's Allow, then gobreaker's Execute.
// It limits no concurrency and measures no latency.
func composed() benchCase {
	limiter, breaker := newLimiter(), newGobreaker()
	call := func() (int, error) {
		if !limiter.Allow() {
			return 0, errRefused
		}
		return breaker.Execute(succeed)
	}
	return benchCase{Work: "guard", Who: "composed-go", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if _, err := call(); err != nil {
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
