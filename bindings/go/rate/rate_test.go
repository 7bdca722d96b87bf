package rate

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tenth is the time of a token in most tests.
const tenth = 100 * time.Millisecond

// at is a moment so many tenths of a second after a fixed one.
func at(tenths int) time.Time { return epoch.Add(time.Duration(tenths) * tenth) }

var epoch = time.Now()

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestEvery(t *testing.T) {
	for interval, limit := range map[time.Duration]Limit{
		0: Inf, -1: Inf, 1: 1e9, time.Second: 1, 20 * time.Millisecond: 50, 3 * time.Hour: 1. / 10800,
	} {
		near(t, interval.String(), float64(Every(interval)), float64(limit))
	}
}

// step asks for n events at a time, in tenths.
type step struct {
	at, n int
	ok    bool
}

func TestAllowNTakesWhatIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		limit Limit
		burst int
		steps []step
	}{
		"one at a time":      {10, 1, []step{{0, 1, true}, {0, 1, false}, {1, 1, true}, {1, 1, false}, {2, 2, false}, {9, 1, true}}},
		"a burst of three":   {10, 3, []step{{0, 2, true}, {0, 2, false}, {0, 1, true}, {1, 1, true}, {1, 1, false}, {9, 3, true}, {9, 1, false}}},
		"n of nothing":       {10, 1, []step{{0, 1, true}, {0, 0, true}, {0, -5, true}, {0, 1, false}}},
		"no more than burst": {10, 2, []step{{0, 3, false}, {1000, 3, false}, {1000, 2, true}, {1000, 1, false}}},
		"no limit":           {Inf, 0, []step{{0, 1, true}, {0, 1 << 40, true}}},
		"limit zero":         {0, 2, []step{{0, 1, true}, {5, 1, true}, {5000, 1, false}}},
		"limit below zero":   {-1, 1, []step{{0, 1, true}, {5000, 1, false}}},
		"burst zero":         {10, 0, []step{{0, 1, false}, {9, 1, false}, {9, 0, true}}},
		"burst below zero":   {10, -1, []step{{0, 1, false}, {9, 1, false}}},
		"before the program": {10, 1, []step{{-1 << 20, 1, true}, {-1 << 20, 1, false}, {1 - 1<<20, 1, true}, {0, 1, true}, {0, 1, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			lim := NewLimiter(c.limit, c.burst)
			for i, s := range c.steps {
				if got := lim.AllowN(at(s.at), s.n); got != s.ok {
					t.Errorf("step %d, %+v: %v", i, s, got)
				}
			}
		})
	}
}

func TestTheZeroValueRejectsAll(t *testing.T) {
	var lim Limiter
	want(t, "Allow", lim.Allow(), false)
	want(t, "AllowN of 0", lim.AllowN(at(0), 0), true)
	want(t, "Reserve", lim.Reserve().OK(), false)
	want(t, "Limit", lim.Limit(), 0)
	want(t, "Burst", lim.Burst(), 0)
	if err := lim.Wait(context.Background()); err == nil || !strings.Contains(err.Error(), "burst 0") {
		t.Error(err)
	}
	lim.SetBurstAt(at(0), 2)
	lim.SetLimitAt(at(0), 10)
	want(t, "nothing yet", lim.AllowN(at(0), 1), false)
	want(t, "a tenth later", lim.AllowN(at(1), 1), true)
}

// A time before the last one finds what was there then; the original would admit the second.
func TestATimeBeforeTheLastOneAdmitsNoMore(t *testing.T) {
	lim := NewLimiter(10, 2)
	want(t, "at 10", lim.AllowN(at(10), 1), true)
	want(t, "at 9", lim.AllowN(at(9), 1), false)
	want(t, "at 10 again", lim.AllowN(at(10), 1), true)
	want(t, "at 11", lim.AllowN(at(11), 1), true)
	want(t, "at 11 again", lim.AllowN(at(11), 1), false)
}

func TestTimesOfAnyAge(t *testing.T) {
	for _, start := range []time.Time{{}, time.Unix(0, 0), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Round(0)} {
		lim := NewLimiter(10, 1)
		want(t, "first", lim.AllowN(start, 1), true)
		want(t, "second", lim.AllowN(start, 1), false)
		want(t, "early", lim.AllowN(start.Add(tenth-1), 1), false)
		want(t, "in time", lim.AllowN(start.Add(tenth), 1), true)
	}
}

func TestTokensAreTold(t *testing.T) {
	lim := NewLimiter(10, 5)
	near(t, "full", lim.TokensAt(at(0)), 5)
	lim.AllowN(at(0), 3)
	near(t, "after three", lim.TokensAt(at(0)), 2)
	near(t, "half a token later", lim.TokensAt(at(0).Add(tenth/2)), 2.5)
	lim.ReserveN(at(0), 4)
	near(t, "in debt", lim.TokensAt(at(0)), -2)
	near(t, "full again", lim.TokensAt(at(90)), 5)
	near(t, "no limit", NewLimiter(Inf, 7).Tokens(), 7)
	want(t, "Limit", lim.Limit(), 10)
	want(t, "Burst", lim.Burst(), 5)
}

func reserved(t *testing.T, lim *Limiter, tenths, n, acts int) *Reservation {
	t.Helper()
	r := lim.ReserveN(at(tenths), n)
	if delay := r.DelayFrom(at(tenths)); !r.OK() || delay != time.Duration(acts-tenths)*tenth {
		t.Errorf("reserved %d at %d: %v after %v, want to act at %d", n, tenths, r.OK(), delay, acts)
	}
	return r
}

func TestReservationsQueueUp(t *testing.T) {
	lim := NewLimiter(10, 2)
	reserved(t, lim, 0, 2, 0)
	reserved(t, lim, 0, 2, 2)
	reserved(t, lim, 3, 2, 4)
	r := lim.ReserveN(at(3), 3)
	want(t, "over the burst", r.OK(), false)
	want(t, "its delay", r.Delay(), InfDuration)
	r.CancelAt(at(3))
	near(t, "tokens", lim.TokensAt(at(4)), 0)
	near(t, "delay of one that is over", float64(reserved(t, lim, 9, 1, 9).DelayFrom(at(20))), 0)
}

func TestCancelGivesBackWhatNobodyCountsOn(t *testing.T) {
	for name, c := range map[string]struct {
		reserved  []int
		cancelled []int
		at, n     int
		acts      int
	}{
		"the only one":         {[]int{2}, []int{0}, 1, 2, 2},
		"too late":             {[]int{2}, []int{0}, 3, 2, 4},
		"one before another":   {[]int{1, 1}, []int{0}, 0, 1, 3},
		"more than the others": {[]int{2, 1}, []int{0}, 2, 2, 4},
		"the last":             {[]int{3, 1, 1}, []int{2}, 1, 1, 5},
		"the last, then first": {[]int{3, 1, 1}, []int{2, 0}, 1, 3, 5},
		"twice counts once":    {[]int{1, 1}, []int{1, 1}, 0, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			lim := NewLimiter(10, 4)
			reserved(t, lim, 0, 4, 0)
			var all []*Reservation
			for _, n := range c.reserved {
				all = append(all, lim.ReserveN(at(0), n))
			}
			for _, i := range c.cancelled {
				all[i].CancelAt(at(c.at))
			}
			reserved(t, lim, c.at, c.n, c.acts)
		})
	}
}

func TestSetLimitAndSetBurstKeepTheTokens(t *testing.T) {
	lim := NewLimiter(5, 2)
	reserved(t, lim, 0, 2, 0)
	reserved(t, lim, 0, 2, 4)
	lim.SetLimitAt(at(2), 10)
	want(t, "Limit", lim.Limit(), 10)
	reserved(t, lim, 2, 1, 4)

	lim = NewLimiter(10, 2)
	reserved(t, lim, 0, 2, 0)
	lim.SetBurstAt(at(0), 4)
	reserved(t, lim, 0, 4, 4)
	lim.SetBurstAt(at(100), 1)
	near(t, "cut", lim.TokensAt(at(100)), 1)

	lim = NewLimiter(10, 5)
	lim.SetBurstAt(at(1), 10)
	near(t, "nobody had touched it", lim.TokensAt(at(1)), 5)

	lim = NewLimiter(Inf, 3)
	lim.SetLimitAt(at(0), 10)
	want(t, "as many as the burst", lim.AllowN(at(0), 3), true)
	want(t, "and no more", lim.AllowN(at(0), 1), false)
	lim.SetLimitAt(at(0), 0)
	want(t, "nothing comes", lim.AllowN(at(100), 1), false)
	lim.SetLimitAt(at(100), Inf)
	want(t, "all pass", lim.AllowN(at(100), 99), true)
}

func TestACancelAcrossAChange(t *testing.T) {
	lim := NewLimiter(5, 2)
	reserved(t, lim, 0, 2, 0)
	r := reserved(t, lim, 0, 2, 4)
	lim.SetLimitAt(at(2), 10)
	r.CancelAt(at(2))
	reserved(t, lim, 2, 2, 3)
	r = lim.ReserveN(at(3), 1)
	lim.SetLimitAt(at(3), 20)
	lim.SetLimitAt(at(3), 10)
	before := lim.TokensAt(at(3))
	r.CancelAt(at(3))
	near(t, "two changes later", lim.TokensAt(at(3)), before)
}

func TestALimitOfZeroWaitsForEver(t *testing.T) {
	lim := NewLimiter(0, 1)
	want(t, "the burst", lim.ReserveN(at(0), 1).DelayFrom(at(0)), 0)
	r := lim.ReserveN(at(0), 1)
	if !r.OK() || r.DelayFrom(at(0)) < 100*365*24*time.Hour {
		t.Error(r.OK(), r.DelayFrom(at(0)))
	}
	near(t, "owed", lim.TokensAt(at(0)), -1)
	r.CancelAt(at(1))
	near(t, "given back", lim.TokensAt(at(0)), 0)
}

func TestNumbersAtTheirEnds(t *testing.T) {
	for _, lim := range []*Limiter{NewLimiter(1, math.MaxInt), NewLimiter(1e300, 1), NewLimiter(1e-300, 1), NewLimiter(Every(1<<62), 3)} {
		want(t, "one passes", lim.AllowN(at(0), 1), true)
	}
	want(t, "a token in 292 years", NewLimiter(Every(math.MaxInt64), 1).AllowN(at(0), 2), false)
	lim := NewLimiter(Limit(math.NaN()), 1)
	want(t, "not a number", lim.AllowN(at(0), 1), true)
	want(t, "gains nothing", lim.AllowN(at(100), 1), false)
}

// waited runs wait at a moment and tells how long it would have slept.
func waited(lim *Limiter, ctx context.Context, tenths, n int) (slept time.Duration, err error) {
	err = lim.wait(ctx, n, at(tenths), func(ctx context.Context, d time.Duration) error {
		slept = d
		return ctx.Err()
	})
	return slept, err
}

func TestWait(t *testing.T) {
	lim := NewLimiter(10, 3)
	for i, delay := range []time.Duration{0, 0, 0, 1, 2} {
		slept, err := waited(lim, context.Background(), 0, 1)
		if err != nil || slept != delay*tenth {
			t.Errorf("%d: %v, %v", i, slept, err)
		}
	}
	if _, err := waited(lim, context.Background(), 0, 4); err == nil || !strings.Contains(err.Error(), "exceeds limiter's burst 3") {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := waited(lim, ended, 0, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	near(t, "took nothing", lim.TokensAt(at(0)), -2)
	if slept, err := waited(NewLimiter(Inf, 0), context.Background(), 0, 5); slept != 0 || err != nil {
		t.Error(slept, err)
	}
}

func TestWaitLooksAtTheDeadline(t *testing.T) {
	lim := NewLimiter(10, 1)
	ctx, cancel := context.WithDeadline(context.Background(), at(0).Add(time.Hour))
	defer cancel()
	lim.AllowN(at(0), 1)
	if slept, err := waited(lim, ctx, 0, 1); slept != tenth || err != nil {
		t.Error(slept, err)
	}
	slow := NewLimiter(Every(2*time.Hour), 1)
	slow.AllowN(at(0), 1)
	if _, err := waited(slow, ctx, 0, 1); err == nil || !strings.Contains(err.Error(), "would exceed context deadline") {
		t.Error(err)
	}
	near(t, "took nothing", slow.TokensAt(at(0)), 0)
}

func TestWaitThatIsCancelledGivesBack(t *testing.T) {
	lim := NewLimiter(Every(time.Hour), 1)
	lim.Allow()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- lim.Wait(ctx) }()
	for lim.Tokens() > -0.5 {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if tokens := lim.Tokens(); tokens < 0 {
		t.Error(tokens)
	}
}

func TestAStormTakesEachTokenOnce(t *testing.T) {
	lim := NewLimiter(1000, 5000)
	var taken atomic.Int64
	var takers, changer sync.WaitGroup
	stop := make(chan struct{})
	start := func(group *sync.WaitGroup, run func()) {
		group.Add(1)
		go func() {
			defer group.Done()
			run()
		}()
	}
	start(&changer, func() {
		for turn := 0; ; turn++ {
			select {
			case <-stop:
				return
			default:
				lim.SetLimitAt(at(0), Limit(int(125)<<(turn%4)))
			}
		}
	})
	for range 3 {
		start(&takers, func() {
			for range 5000 {
				if lim.AllowN(at(0), 1) {
					taken.Add(1)
				}
			}
		})
	}
	takers.Wait()
	close(stop)
	changer.Wait()
	if taken.Load() > 5000 || math.Abs(float64(taken.Load())+lim.TokensAt(at(0))-5000) > 1 {
		t.Error(taken.Load(), lim.TokensAt(at(0)))
	}
}

func TestNothingIsAllocated(t *testing.T) {
	lim := NewLimiter(1e6, 1000)
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		lim.Allow()
		lim.AllowN(at(0), 2)
		lim.Tokens()
		_ = lim.Wait(ctx)
	}); n != 0 {
		t.Error(n)
	}
}

func runs(s *Sometimes, calls int) (ran []int) {
	for call := range calls {
		s.Do(func() { ran = append(ran, call) })
	}
	return ran
}

func TestSometimes(t *testing.T) {
	for _, c := range []struct {
		s    *Sometimes
		want []int
	}{
		{&Sometimes{}, []int{0}},
		{&Sometimes{First: 3}, []int{0, 1, 2}},
		{&Sometimes{Every: 3}, []int{0, 3, 6, 9}},
		{&Sometimes{Every: 1}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{&Sometimes{First: 2, Every: 5}, []int{0, 1, 5}},
		{&Sometimes{Interval: time.Hour}, []int{0}},
		{&Sometimes{First: -1, Every: -1, Interval: -1}, []int{0}},
	} {
		ran := runs(c.s, 10)
		if len(ran) != len(c.want) {
			t.Fatalf("%v: %v", ran, c.want)
		}
		for i := range ran {
			want(t, "call", ran[i], c.want[i])
		}
	}
	s := &Sometimes{Interval: time.Hour}
	runs(s, 3)
	s.last = s.last.Add(-2 * time.Hour)
	want(t, "after the interval", len(runs(s, 3)), 1)
}
