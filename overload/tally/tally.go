// Package tally sums up how calls ended.
package tally

import (
	"slices"
	"time"

	percentiles "github.com/tidegate/tidegate/demo/tally"
	"github.com/tidegate/tidegate/overload/protect"
)

// End is how a call ended.
type End int

// The ends.
const (
	Good    End = iota // answered within the deadline
	Late               // answered after it
	Refused            // by the protection
	Full               // by the service, whose queue was full
	Failed             // anything else: here a fault of the experiment
)

var names = [...]string{"good", "late", "refused", "full", "failed"}

func (e End) String() string { return names[e] }

// Call is one call that was made. Times count from the start of the load, Took from the moment at which it was to be made.
type Call struct {
	At, Sent, Took time.Duration
	Criticality    protect.Criticality
	End            End
	Attempts       int
}

// Figures are the sums of calls.
type Figures struct {
	Offered, Good, Late, Refused, Full, Failed int
	Attempts                                   int
	P50, P99                                   time.Duration // of the good ones
	AnsweredP99                                time.Duration // of the good and the late ones
	SentLate                                   time.Duration // p99 of how much later calls were sent than they were to be
}

// Sum makes figures of calls.
func Sum(calls []Call) Figures {
	f := Figures{Offered: len(calls)}
	var good, answered, sentLate []time.Duration
	for _, call := range calls {
		*f.count(call.End)++
		f.Attempts += call.Attempts
		sentLate = append(sentLate, call.Sent-call.At)
		if call.End == Good {
			good = append(good, call.Took)
		}
		if call.End == Good || call.End == Late {
			answered = append(answered, call.Took)
		}
	}
	f.P50, f.P99 = percentile(good, 0.5), percentile(good, 0.99)
	f.AnsweredP99, f.SentLate = percentile(answered, 0.99), percentile(sentLate, 0.99)
	return f
}

func (f *Figures) count(end End) *int {
	return [...]*int{&f.Good, &f.Late, &f.Refused, &f.Full, &f.Failed}[end]
}

func percentile(durations []time.Duration, q float64) time.Duration {
	slices.Sort(durations)
	return percentiles.Percentile(durations, q)
}

// Between keeps the calls that were to be made from one time to another.
func Between(calls []Call, from, to time.Duration) []Call {
	return kept(calls, func(c Call) bool { return c.At >= from && c.At < to })
}

// Goodput is how many good answers a second came from one time to another, whenever their calls were made.
func Goodput(calls []Call, from, to time.Duration) float64 {
	good := kept(calls, func(c Call) bool { return c.End == Good && c.At+c.Took >= from && c.At+c.Took < to })
	return float64(len(good)) / (to - from).Seconds()
}

// Of keeps the calls of one criticality.
func Of(calls []Call, criticality protect.Criticality) []Call {
	return kept(calls, func(c Call) bool { return c.Criticality == criticality })
}

func kept(calls []Call, keep func(Call) bool) (some []Call) {
	for _, call := range calls {
		if keep(call) {
			some = append(some, call)
		}
	}
	return some
}

// Recovered is how long after a time the first second begins of whose calls at least this share was good; false where
// none does before the end.
func Recovered(calls []Call, after, end time.Duration, share float64) (time.Duration, bool) {
	const step, second = 50 * time.Millisecond, time.Second
	for from := after; from+second <= end; from += step {
		f := Sum(Between(calls, from, from+second))
		if f.Offered > 0 && float64(f.Good) >= share*float64(f.Offered) {
			return from - after, true
		}
	}
	return end - after, false
}
