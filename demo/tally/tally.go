// Package tally keeps what became of each call, and makes figures of it.
package tally

import (
	"sync"
	"time"
)

// InTimeLimit is how long a caller waits for an answer that is of use.
const InTimeLimit = 500 * time.Millisecond

// End is how a call ended for its caller.
type End int

// The ends.
const (
	InTime   End = iota // paid, within InTimeLimit
	Late                // paid, but later
	Failed              // answered with an error
	Refused             // answered with a refusal by Tidegate
	NoAnswer            // not answered at all
)

// Call is one call. Times count from the start of the run.
type Call struct {
	At     time.Duration // when it was to be made
	Took   time.Duration // from then to the end of its answer
	End    End
	Tier   string
	Stage  string // that refused it
	Reason int    // which that stage gave
}

// Tally gathers calls from many goroutines. The zero value is empty.
type Tally struct {
	mu    sync.Mutex
	begun []time.Duration
	calls []Call
}

// Begin notes that a call was made.
func (t *Tally) Begin(at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = append(t.begun, at)
}

// End notes how one ended.
func (t *Tally) End(call Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, call)
}

// Calls are those that ended, in the order of their ends. The list is not changed any more.
func (t *Tally) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[:len(t.calls):len(t.calls)]
}

// Rates are what happened in one second.
type Rates struct {
	Offered, InTime, Other, Refused int
	Waiting                         int            // for an answer, now
	Stages                          map[string]int // refused, by stage
}

// LastSecond tells of the second before now.
func (t *Tally) LastSecond(now time.Duration) Rates {
	t.mu.Lock()
	defer t.mu.Unlock()
	rates := Rates{Waiting: len(t.begun) - len(t.calls), Stages: map[string]int{}}
	for i := len(t.begun) - 1; i >= 0 && t.begun[i] > now-time.Second; i-- {
		rates.Offered++
	}
	// Calls stand in the order of their ends, near enough.
	for i := len(t.calls) - 1; i >= 0 && t.calls[i].At+t.calls[i].Took > now-time.Second; i-- {
		rates.add(t.calls[i])
	}
	return rates
}

func (r *Rates) add(call Call) {
	switch call.End {
	case InTime:
		r.InTime++
	case Refused:
		r.Refused++
		r.Stages[call.Stage]++
	default:
		r.Other++
	}
}
