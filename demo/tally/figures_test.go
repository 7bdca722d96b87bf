package tally

import (
	"testing"
	"time"
)

const ms = time.Millisecond

func TestPercentileByNearestRank(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1)*ms)
	}
	for _, c := range []struct {
		of   []time.Duration
		q    float64
		want time.Duration
	}{
		{hundred, 0.5, 50 * ms}, {hundred, 0.99, 99 * ms}, {hundred, 1, 100 * ms}, {hundred, 0, 1 * ms},
		{hundred[:1], 0.99, 1 * ms}, {hundred[:3], 0.5, 2 * ms}, {nil, 0.5, 0},
	} {
		if got := Percentile(c.of, c.q); got != c.want {
			t.Errorf("%v of %d: %s, want %s", c.q, len(c.of), got, c.want)
		}
	}
}

var calls = []Call{
	{At: 0, Took: 20 * ms, End: InTime, Tier: "free"},
	{At: 100 * ms, Took: 700 * ms, End: Late, Tier: "free"},
	{At: 1100 * ms, Took: 1000 * ms, End: Failed, Tier: "premium"},
	{At: 1200 * ms, Took: 1 * ms, End: Refused, Tier: "free", Stage: "policy", Reason: 1},
	{At: 1300 * ms, Took: 2 * ms, End: Refused, Tier: "premium", Stage: "breaker"},
	{At: 2100 * ms, Took: 5000 * ms, End: NoAnswer, Tier: "premium"},
}

func TestSum(t *testing.T) {
	f := Sum(calls)
	if f.Offered != 6 || f.InTime != 1 || f.Late != 1 || f.Failed != 1 || f.Refused != 2 || f.NoAnswer != 1 {
		t.Errorf("%+v", f)
	}
	if f.Stages["policy"] != 1 || f.Stages["breaker"] != 1 {
		t.Errorf("stages: %v", f.Stages)
	}
	if f.Tiers["free"] != (Share{3, 1}) || f.Tiers["premium"] != (Share{3, 0}) {
		t.Errorf("tiers: %v", f.Tiers)
	}
	if f.All != (Latency{20 * ms, 5000 * ms}) || f.Answered != (Latency{20 * ms, 700 * ms}) {
		t.Errorf("latencies: %v of all, %v of the answered", f.All, f.Answered)
	}
}

func TestWindowsGoByWhenACallWasToBeMade(t *testing.T) {
	windows := Windows(calls, time.Second, 2500*ms)
	want := []Window{
		{0, 2, 1, 700 * ms},
		{1000 * ms, 3, 0, 1000 * ms},
		{2000 * ms, 2, 0, 5000 * ms}, // half a window: one call is two a second
	}
	if len(windows) != len(want) {
		t.Fatalf("%+v", windows)
	}
	for i := range want {
		if windows[i] != want[i] {
			t.Errorf("window %d: %+v, want %+v", i, windows[i], want[i])
		}
	}
}

func TestLastSecond(t *testing.T) {
	var tally Tally
	for _, call := range calls {
		tally.Begin(call.At)
	}
	for _, call := range calls[:5] {
		tally.End(call)
	}
	got := tally.LastSecond(2150 * ms)
	if got.Offered != 3 || got.Refused != 2 || got.Stages["breaker"] != 1 || got.InTime != 0 || got.Waiting != 1 {
		t.Errorf("%+v", got)
	}
}
