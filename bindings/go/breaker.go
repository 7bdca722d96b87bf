package tidegate

import (
	"sync"
	"sync/atomic"
)

// BreakerReason is why a guard's breaker changed.
type BreakerReason uint32

// The reasons.
const (
	BreakerTold           BreakerReason = 0
	BreakerFailuresInARow BreakerReason = 1
	BreakerErrorCount     BreakerReason = 2
	BreakerErrorRatio     BreakerReason = 3
	BreakerSlowRatio      BreakerReason = 4
	BreakerProbesFailed   BreakerReason = 5
	BreakerProbesPassed   BreakerReason = 6
	BreakerProbesLost     BreakerReason = 7
	BreakerOpenEnded      BreakerReason = 8
	BreakerRecovered      BreakerReason = 9
	BreakerForced         BreakerReason = 10
	BreakerReset          BreakerReason = 11
)

var breakerReasons = [...]string{
	"told", "failures_in_a_row", "error_count", "error_ratio", "slow_ratio", "probes_failed", "probes_passed",
	"probes_lost", "open_ended", "recovered", "forced", "reset",
}

// String is the reason in words.
func (r BreakerReason) String() string {
	if int(r) < len(breakerReasons) {
		return breakerReasons[r]
	}
	return "unknown"
}

// BreakerChange is a change of a guard's breaker.
type BreakerChange struct {
	From, To BreakerState
	Reason   BreakerReason
	// Generation counts the changes, modulo 1024: it says which of two came first.
	Generation uint64
}

// SetBreaker sets the guard's breaker by hand, in every process on the
// segment: BreakerForcedOpen, BreakerForcedClosed or BreakerDisabled until it
// is set again; BreakerClosed resets it, with an empty window.
func (g *Guard) SetBreaker(state BreakerState) error {
	return check("set breaker", libGuardSetBreaker(g.handle, uint32(state)))
}

// OnBreakerChange calls hear after every change that a call of this process
// makes to the guard's breaker, until stop is called or the runtime closed. One
// goroutine makes all these calls, in the order of the changes of each thread
// (see [BreakerChange.Generation]), and may lag behind: hear may use the library,
// but keeps others waiting. Those changes that other processes make show in
// the metrics. A guard has at most 64 listeners.
func (g *Guard) OnBreakerChange(hear func(BreakerChange)) (stop func(), err error) {
	var stopped atomic.Bool
	watch, err := libWatchBreaker(g.handle, func(change BreakerChange) {
		if !stopped.Load() {
			hear(change)
		}
	})
	if err != nil {
		return func() {}, err
	}
	return sync.OnceFunc(func() {
		stopped.Store(true)
		libUnwatchBreaker(g.handle, watch)
	}), nil
}
