package main

import (
	"testing"
	"time"

	"github.com/tidegate/tidegate/demo/tally"
)

func TestRecovery(t *testing.T) {
	// Two seconds, a call each 10 ms; those before good fail.
	calls := func(good time.Duration) (calls []tally.Call) {
		for at := time.Duration(0); at < 2*time.Second; at += 10 * ms {
			end := tally.InTime
			if at < good {
				end = tally.Failed
			}
			calls = append(calls, tally.Call{At: at, End: end})
		}
		return calls
	}
	for _, c := range []struct {
		good time.Duration
		want string
	}{{0, "0.0 s"}, {time.Second, "0.0 s"}, {1500 * ms, "0.5 s"}, {1600 * ms, "0.8 s"}, {2 * time.Second, "not yet"}} {
		if got := recovery(calls(c.good), time.Second, 2*time.Second); got != c.want {
			t.Errorf("good from %s: %s, want %s", c.good, got, c.want)
		}
	}
}

func TestSliceGoesByWhenACallWasToBeMade(t *testing.T) {
	calls := []tally.Call{{At: 1}, {At: 2, Took: 9}, {At: 3}}
	if got := slice(calls, 2, 3).Offered; got != 1 {
		t.Errorf("%d calls", got)
	}
}

func TestMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{1500 * time.Microsecond: "1.5 ms", 1008 * ms: "1008 ms"} {
		if got := milliseconds(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}
