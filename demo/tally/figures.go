package tally

import (
	"math"
	"slices"
	"time"
)

// Figures are the sums of a run.
type Figures struct {
	Offered, InTime, Late, Failed, Refused, NoAnswer int
	Stages                                           map[string]int // refused, by stage
	Tiers                                            map[string]Share
	All, Answered                                    Latency
}

// Share is how many calls of a tier were answered in time.
type Share struct{ Offered, InTime int }

// Latency is two percentiles.
type Latency struct{ P50, P99 time.Duration }

// Sum makes figures of calls.
func Sum(calls []Call) Figures {
	f := Figures{Offered: len(calls), Stages: map[string]int{}, Tiers: map[string]Share{}}
	var all, answered []time.Duration
	for _, call := range calls {
		f.count(call)
		all = append(all, call.Took)
		if call.End == InTime || call.End == Late {
			answered = append(answered, call.Took)
		}
	}
	f.All, f.Answered = latency(all), latency(answered)
	return f
}

func (f *Figures) count(call Call) {
	tier := f.Tiers[call.Tier]
	tier.Offered++
	switch call.End {
	case InTime:
		f.InTime++
		tier.InTime++
	case Late:
		f.Late++
	case Failed:
		f.Failed++
	case Refused:
		f.Refused++
		f.Stages[call.Stage]++
	case NoAnswer:
		f.NoAnswer++
	}
	f.Tiers[call.Tier] = tier
}

func latency(durations []time.Duration) Latency {
	slices.Sort(durations)
	return Latency{Percentile(durations, 0.50), Percentile(durations, 0.99)}
}

// Percentile of sorted durations, by nearest rank; 0 of none.
func Percentile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Window is what became of the calls that were to be made in a stretch of time.
type Window struct {
	From    time.Duration
	Offered float64       // calls a second
	Goodput float64       // answered in time, a second
	P99     time.Duration // of all its calls, whatever their end
}

// Windows cuts a run of this length into stretches of this width.
func Windows(calls []Call, width, total time.Duration) []Window {
	windows := make([]Window, (total+width-1)/width)
	took := make([][]time.Duration, len(windows))
	for _, call := range calls {
		i := int(call.At / width)
		if i >= len(windows) {
			continue
		}
		took[i] = append(took[i], call.Took)
		if call.End == InTime {
			windows[i].Goodput++
		}
	}
	for i := range windows {
		w := &windows[i]
		w.From = time.Duration(i) * width
		seconds := min(width, total-w.From).Seconds()
		w.Offered, w.Goodput = float64(len(took[i]))/seconds, w.Goodput/seconds
		w.P99 = latency(took[i]).P99
	}
	return windows
}
