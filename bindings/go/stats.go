package tidegate

import (
	"math"
	"time"
)

// BreakerState is where a guard's breaker stands.
type BreakerState uint32

// The breaker's states.
const (
	BreakerDisabled BreakerState = 0
	BreakerClosed   BreakerState = 1
	BreakerOpen     BreakerState = 2
	BreakerHalfOpen BreakerState = 3
	// A rising share of the calls passes.
	BreakerRecovering BreakerState = 4
	// An operator has it refuse everything; see [Guard.SetBreaker].
	BreakerForcedOpen BreakerState = 5
	// An operator has it let pass and count, and never open.
	BreakerForcedClosed BreakerState = 6
)

var breakerNames = [...]string{
	"disabled", "closed", "open", "half_open", "recovering", "forced_open", "forced_closed",
}

// String is the state's name, as metrics spell it.
func (s BreakerState) String() string {
	if int(s) < len(breakerNames) {
		return breakerNames[s]
	}
	return "unknown"
}

// GuardStats are a guard's figures since it was made. They are read one after
// the other while calls go on, so sums may be off by calls of that moment.
type GuardStats struct {
	Breaker        BreakerState
	InFlight       uint64    // calls that hold a permit
	Limit          uint64    // of concurrency; 0: none
	Calls          [6]uint64 // exits, indexed by Outcome
	Rejected       [9]uint64 // refusals, indexed by Stage
	ShadowRejected [9]uint64 // what a stage in shadow mode would have refused
	Expired        uint64    // permits that max_hold took back
	MisusedExits   uint64    // exits that held nothing, or were another process's
	Latency        LatencyStats
	// How often the breaker went to each state, indexed by BreakerState.
	BreakerTransitions [7]uint64
	Retries            uint64 // that were decided on and not abandoned
	Hedges             uint64 // that were sent
	RetryBudget        uint64 // retries or hedges left for a critical call; 0 without a budget
}

// LatencyStats tell how long calls took, waits of the guard left out.
type LatencyStats struct {
	Count         uint64
	Sum           time.Duration
	P50, P90, P99 time.Duration // to within the histogram's stated error
}

// Stats reads the guard's figures. It is for people and tests; for
// monitoring, the same figures are in [Runtime.WriteMetrics].
func (g *Guard) Stats() (GuardStats, error) {
	stats, status := libGuardStats(g.handle)
	if status != statusOK {
		return GuardStats{}, check("stats", status)
	}
	return stats, nil
}

// seconds turns the library's seconds into a Duration; what is not a number is
// 0, what is too large is the largest.
func seconds[F ~float64](s F) time.Duration {
	ns := float64(s) * float64(time.Second)
	switch {
	case math.IsNaN(ns):
		return 0
	case ns >= math.MaxInt64:
		return math.MaxInt64
	}
	return time.Duration(ns)
}
