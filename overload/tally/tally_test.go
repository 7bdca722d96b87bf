package tally

import (
	"testing"
	"time"

	"github.com/tidegate/tidegate/overload/protect"
)

const ms = time.Millisecond

var calls = []Call{
	{At: 0, Sent: 1 * ms, Took: 20 * ms, End: Good, Attempts: 1, Criticality: protect.Critical},
	{At: 100 * ms, Sent: 105 * ms, Took: 40 * ms, End: Good, Attempts: 2},
	{At: 200 * ms, Sent: 200 * ms, Took: 700 * ms, End: Late, Attempts: 3},
	{At: 300 * ms, Sent: 300 * ms, Took: 1 * ms, End: Refused, Attempts: 1},
	{At: 400 * ms, Sent: 400 * ms, Took: 1 * ms, End: Full, Attempts: 1},
	{At: 500 * ms, Sent: 500 * ms, Took: 1 * ms, End: Failed, Attempts: 1},
}

func TestSum(t *testing.T) {
	want := Figures{
		Offered: 6, Good: 2, Late: 1, Refused: 1, Full: 1, Failed: 1, Attempts: 9,
		P50: 20 * ms, P99: 40 * ms, AnsweredP99: 700 * ms, SentLate: 5 * ms,
	}
	if got := Sum(calls); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := Sum(nil); got != (Figures{}) {
		t.Errorf("of none: %+v", got)
	}
}

func TestParts(t *testing.T) {
	if got := Sum(Between(calls, 100*ms, 300*ms)); got.Offered != 2 || got.Good != 1 || got.Late != 1 {
		t.Errorf("%+v", got)
	}
	if got := Of(calls, protect.Critical); len(got) != 1 || got[0] != calls[0] {
		t.Errorf("%+v", got)
	}
}

// What counts is when the answer came: at 20 and 140 ms.
func TestGoodputCountsAnswers(t *testing.T) {
	for _, c := range []struct {
		from, to time.Duration
		want     float64
	}{{0, 1000 * ms, 2}, {0, 100 * ms, 10}, {20 * ms, 140 * ms, 1 / 0.12}, {140 * ms, 240 * ms, 10}, {200 * ms, 900 * ms, 0}} {
		if got := Goodput(calls, c.from, c.to); got != c.want {
			t.Errorf("from %s to %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// steady has a call every 10 ms from 0 to 5 s, of which those are good that good says.
func steady(good func(at time.Duration) bool) (calls []Call) {
	for at := time.Duration(0); at < 5*time.Second; at += 10 * ms {
		end := Late
		if good(at) {
			end = Good
		}
		calls = append(calls, Call{At: at, End: end})
	}
	return calls
}

func TestRecovered(t *testing.T) {
	const outage, end = time.Second, 5 * time.Second
	for name, c := range map[string]struct {
		good  func(at time.Duration) bool
		after time.Duration
		ok    bool
	}{
		"at once":             {func(at time.Duration) bool { return at >= outage }, 0, true},
		"a second later":      {func(at time.Duration) bool { return at >= outage+time.Second }, 950 * ms, true},
		"never":               {func(at time.Duration) bool { return at < outage }, 4 * time.Second, false},
		"half of them":        {func(at time.Duration) bool { return at/(10*ms)%2 == 0 }, 4 * time.Second, false},
		"for less than a sec": {func(at time.Duration) bool { return at >= 4500*ms }, 4 * time.Second, false},
	} {
		if after, ok := Recovered(steady(c.good), outage, end, 0.95); after != c.after || ok != c.ok {
			t.Errorf("%s: %s, %v; want %s, %v", name, after, ok, c.after, c.ok)
		}
	}
}
