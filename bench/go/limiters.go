package main

import (
	"context"
	"fmt"

	"github.com/tidegate/tidegate/bindings/go/rate"
	xrate "golang.org/x/time/rate"
)

// limiterCases are package rate beside the package whose interface it has: Allow, Wait that
// need not wait, and a reservation that is cancelled.
func limiterCases() []benchCase {
	ours, theirs := rate.NewLimiter(1e9, 1_000_000_000), xrate.NewLimiter(1e9, 1_000_000_000)
	shared := rate.Shared("bench", 1e9, 1_000_000_000)
	ctx := context.Background()
	return []benchCase{
		allowCase("tidegate-go", ours.Allow),
		allowCase("tidegate-go shared", shared.Allow),
		allowCase("golang.org/x/time/rate", theirs.Allow),
		waitCase("tidegate-go", func() error { return ours.Wait(ctx) }),
		waitCase("golang.org/x/time/rate", func() error { return theirs.Wait(ctx) }),
		reserveCase("tidegate-go", func() bool {
			r := ours.Reserve()
			r.Cancel()
			return r.OK()
		}),
		reserveCase("golang.org/x/time/rate", func() bool {
			r := theirs.Reserve()
			r.Cancel()
			return r.OK()
		}),
	}
}

// All of these call through a function value, so all pay the same for it.

func allowCase(who string, allow func() bool) benchCase { return yesCase("limiter_allow", who, allow) }

func reserveCase(who string, ok func() bool) benchCase { return yesCase("limiter_reserve", who, ok) }

func waitCase(who string, wait func() error) benchCase {
	return yesCase("limiter_wait", who, func() bool { return wait() == nil })
}

func yesCase(work, who string, call func() bool) benchCase {
	return eachCase(work, who, func() func() bool { return call })
}

// eachCase has a call for each thread, with what it cannot share.
func eachCase(work, who string, each func() func() bool) benchCase {
	return benchCase{Work: work, Who: who, make: func() loop {
		call := each()
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if !call() {
					fail(fmt.Sprint(work, ": ", who, " refused"))
				}
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

// freely is for operations that have other goroutines work for them.
func freely(c benchCase) benchCase {
	c.free = true
	return c
}
