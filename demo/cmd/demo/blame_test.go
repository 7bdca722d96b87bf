package main

import (
	"testing"
	"time"

	"github.com/tidegate/tidegate/demo/tally"
)

const ms = time.Millisecond

var swap = change{"swap", 1000 * ms, 1050 * ms}

func refusal(at time.Duration, tier, stage string, reason int) tally.Call {
	return tally.Call{At: at, Took: ms, End: tally.Refused, Tier: tier, Stage: stage, Reason: reason}
}

func TestRefusalsBeforeAndAfter(t *testing.T) {
	calls := []tally.Call{
		refusal(400*ms, "free", "policy", 1), // too early
		refusal(600*ms, "free", "policy", 1), refusal(990*ms, "free", "breaker", 0),
		refusal(1100*ms, "free", "policy", 1),
		refusal(1600*ms, "free", "policy", 1), // too late
		{At: 900 * ms, Took: 200 * ms},
	}
	b := blameForRaise(calls, swap)
	if b.Before != 2 || b.After != 1 || b.InFlight != 1 || b.total() != 0 {
		t.Errorf("%+v", b)
	}
	calls = append(calls, refusal(1200*ms, "free", "rate", 0), refusal(1300*ms, "free", "rate", 0))
	if b := blameForRaise(calls, swap); b.Refused != 1 {
		t.Errorf("one more than before: %+v", b)
	}
}

func TestACallWithoutAnswerIsLost(t *testing.T) {
	lost := func(at, took time.Duration) int {
		return blameForSwap([]tally.Call{{At: at, Took: took, End: tally.NoAnswer}}, swap, 0).Lost
	}
	for name, c := range map[string]struct {
		at, took time.Duration
		want     int
	}{
		"ended before": {900 * ms, 50 * ms, 0},
		"in flight":    {900 * ms, 5000 * ms, 1},
		"during":       {1020 * ms, ms, 1},
		"just after":   {1400 * ms, ms, 1},
		"long after":   {1600 * ms, ms, 0},
	} {
		if got := lost(c.at, c.took); got != c.want {
			t.Errorf("%s: %d lost, want %d", name, got, c.want)
		}
	}
}

func TestASwapIsBlamedForWhatNoPolicySaid(t *testing.T) {
	calls := []tally.Call{
		refusal(900*ms, "free", "policy", 1), refusal(1100*ms, "standard", "policy", 2),
		refusal(1100*ms, "premium", "concurrency", 0),
	}
	if b := blameForSwap(calls, swap, 0); b.total() != 0 {
		t.Errorf("blamed for the policy's own refusals: %+v", b)
	}
	if b := blameForSwap(calls, swap, 3); b.Refused != 3 {
		t.Errorf("on_fail: %+v", b)
	}
	for _, wrong := range []tally.Call{
		refusal(1100*ms, "premium", "policy", 1), refusal(1100*ms, "free", "policy", 2),
		refusal(1100*ms, "free", "policy", 0),
	} {
		if b := blameForSwap([]tally.Call{wrong}, swap, 0); b.Refused != 1 {
			t.Errorf("%+v is not the policy's: %+v", wrong, b)
		}
	}
}

func TestSumOf(t *testing.T) {
	page := "# TYPE a_total counter\na_total{x=\"one two\"} 2\na_total{x=\"b\"} 3.5\na_total_created 9\nplain 7\n"
	for metric, want := range map[string]float64{"a_total": 5.5, "plain": 7, "missing": 0} {
		if got := sumOf(page, metric); got != want {
			t.Errorf("%s: %v, want %v", metric, got, want)
		}
	}
}
