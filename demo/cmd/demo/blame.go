package main

import (
	"time"

	"github.com/tidegate/tidegate/demo/tally"
)

// around is how long before and after a change its calls are looked at.
const around = 500 * time.Millisecond

// blame is what a change did to calls.
type blame struct {
	Refused       int // because of it
	Lost          int // not answered, of those in flight at the change or made in the time after it
	Before, After int // refused, for whatever reason, of the calls made in the time before and after it
	InFlight      int // at the change
}

func (b blame) total() int { return b.Refused + b.Lost }

// blameOf counts what is the same for every change.
func blameOf(calls []tally.Call, c change) (b blame) {
	for _, call := range calls {
		inFlight := call.At <= c.Sent && call.At+call.Took >= c.Sent
		after := call.At > c.Answered && call.At <= c.Answered+around
		during := call.At > c.Sent && call.At <= c.Answered
		refused := call.End == tally.Refused
		switch {
		case refused && after:
			b.After++
		case refused && call.At <= c.Sent && call.At > c.Sent-around:
			b.Before++
		case call.End == tally.NoAnswer && (inFlight || during || after):
			b.Lost++
		}
		if inFlight {
			b.InFlight++
		}
	}
	return b
}

// blameForRaise judges a rule that lets more pass than the one before: it can cause no refusal, so that refusals
// beyond those of the time before are put down to the change.
func blameForRaise(calls []tally.Call, c change) blame {
	b := blameOf(calls, c)
	b.Refused = max(0, b.After-b.Before)
	return b
}

// blameForSwap judges a swap between two policies that decide alike: it caused a refusal when no policy answered
// (on_fail did), or when the answer is one that neither of them gives.
func blameForSwap(calls []tally.Call, c change, onFail int) blame {
	b := blameOf(calls, c)
	b.Refused = onFail
	for _, call := range calls {
		if call.Stage == "policy" && !tiersRefuse(call) {
			b.Refused++
		}
	}
	return b
}

// tiersRefuse says whether tenant-tiers may refuse such a call: reason 1 is for free tenants, 2 for standard ones, and
// there is none for premium.
func tiersRefuse(call tally.Call) bool {
	return call.Tier == "free" && call.Reason == 1 || call.Tier == "standard" && call.Reason == 2
}
