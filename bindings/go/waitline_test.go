package tidegate

import (
	"math/rand/v2"
	"testing"
	"time"
)

func newLine(most int) *waitline {
	return &waitline{target: 5 * time.Millisecond, interval: 100 * time.Millisecond, most: most}
}

func joins(t *testing.T, l *waitline, now time.Duration) *waiter {
	t.Helper()
	w := &waiter{}
	if _, ok := l.join(w, now); !ok {
		t.Fatal("the line is full")
	}
	return w
}

func mustBeNext(t *testing.T, l *waitline, now time.Duration, want *waiter) {
	t.Helper()
	if got := l.next(now); got != want {
		t.Fatalf("at %s: next is %+v, want %+v", now, got, want)
	}
}

const ms = time.Millisecond

func TestLineThatEmptiesServesItsOldestAndWaitsLong(t *testing.T) {
	l := newLine(10)
	first, second := joins(t, l, 0), joins(t, l, 60*ms)
	if first.until != 100*ms || second.until != 160*ms {
		t.Fatal(first.until, second.until)
	}
	mustBeNext(t, l, 60*ms, first)
	mustBeNext(t, l, 60*ms, second) // the first is at its turn
	mustBeNext(t, l, 60*ms, nil)
}

func TestLineThatStandsServesItsNewestAndWaitsShort(t *testing.T) {
	l := newLine(10)
	joins(t, l, 0)
	middle, late := joins(t, l, 90*ms), joins(t, l, 101*ms)
	if middle.until != 190*ms || late.until != 106*ms {
		t.Fatal(middle.until, late.until)
	}
	mustBeNext(t, l, 102*ms, late)
	mustBeNext(t, l, 102*ms, middle)
	mustBeNext(t, l, 102*ms, nil) // the first one's time is up
}

func TestLineThatWasEmptyOnceMoreIsNotOverloaded(t *testing.T) {
	l := newLine(10)
	first := joins(t, l, 0)
	if !l.stands(101 * ms) {
		t.Fatal("does not stand")
	}
	l.leave(first)
	if l.stands(102 * ms) {
		t.Fatal("an empty line stands")
	}
	if w := joins(t, l, 103*ms); w.until != 203*ms {
		t.Fatal(w.until)
	}
}

func TestExactlyAnIntervalIsNotYetStanding(t *testing.T) {
	l := newLine(10)
	joins(t, l, 0)
	if l.stands(100*ms) || !l.stands(100*ms+1) {
		t.Fatal("the edge is wrong")
	}
}

func TestCallersWhoseTimeIsUpAreNotNext(t *testing.T) {
	l := newLine(10)
	joins(t, l, 0)
	second := joins(t, l, 50*ms)
	mustBeNext(t, l, 100*ms, second)
}

func TestFullLineRefusesOrShedsItsOldest(t *testing.T) {
	l := newLine(2)
	first := joins(t, l, 0)
	joins(t, l, 0)
	if _, ok := l.join(&waiter{}, 50*ms); ok {
		t.Fatal("a full line took one more")
	}
	newcomer := &waiter{}
	shed, ok := l.join(newcomer, 150*ms)
	if !ok || shed != first || l.len() != 2 || newcomer.until != 155*ms {
		t.Fatal(shed, ok, l.len(), newcomer.until)
	}
	l.leave(shed)
	if l.len() != 2 {
		t.Fatal("left twice")
	}
}

func TestFullLineDoesNotShedWhoIsAtItsTurn(t *testing.T) {
	l := newLine(1)
	only := joins(t, l, 0)
	mustBeNext(t, l, 50*ms, only)
	if shed, ok := l.join(&waiter{}, 150*ms); ok || shed != nil {
		t.Fatal(shed, ok)
	}
}

func TestTurnInVainKeepsItsPlace(t *testing.T) {
	l := newLine(10)
	first := joins(t, l, 0)
	joins(t, l, 0)
	mustBeNext(t, l, 1*ms, first)
	first.trying = false
	mustBeNext(t, l, 2*ms, first)
}

// overload simulates a service of one call a millisecond, offered share times
// as many callers, and gives how many were served a second, and the longest
// wait of those who were, after the first second.
func overload(share float64, seconds int) (served int, longest time.Duration) {
	l, random := newLine(1000), rand.New(rand.NewPCG(5, 6))
	since := map[*waiter]time.Duration{}
	for now := time.Duration(0); now < time.Duration(seconds)*time.Second; now += ms {
		for offered := share + random.Float64(); offered >= 1; offered-- {
			w := &waiter{}
			if shed, ok := l.join(w, now); ok {
				delete(since, shed)
				since[w] = now
			}
		}
		for w := range since {
			if w.until <= now {
				l.leave(w)
				delete(since, w)
			}
		}
		if w := l.next(now); w != nil {
			if l.leave(w); now >= time.Second {
				served++
				longest = max(longest, now-since[w])
			}
			delete(since, w)
		}
	}
	return served / (seconds - 1), longest
}

func TestOverloadIsServedAtCapacityAndAtOnce(t *testing.T) {
	for _, share := range []float64{1.5, 2, 10} {
		served, longest := overload(share, 20)
		if served < 990 || longest >= 100*ms {
			t.Errorf("%g times: %d a second, longest wait %s", share, served, longest)
		}
	}
}
