package breaker

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

var errBad = errors.New("bad")

// scene is a breaker on a clock that stands still.
type scene struct {
	*testing.T
	*CircuitBreaker[int]
	now  uint64
	seen []string
}

func newScene(t *testing.T, st Settings) *scene {
	s := &scene{T: t, now: 1}
	hear := st.OnStateChange
	st.OnStateChange = func(name string, from, to State) {
		s.seen = append(s.seen, name+": "+from.String()+" to "+to.String())
		if hear != nil {
			hear(name, from, to)
		}
	}
	rule := ruleOf(st)
	words := counted.New(rule, make([]atomic.Uint64, rule.Words()), func() uint64 { return s.now })
	s.CircuitBreaker = newBreaker[int](st, words)
	return s
}

func (s *scene) pass(d time.Duration) { s.now += uint64(d) }

func (s *scene) call(n int, err error) {
	s.Helper()
	for range n {
		got, e := s.Execute(func() (int, error) { return 7, err })
		if got != 7 || !errors.Is(e, err) {
			s.Errorf("Execute is %d, %v; want 7, %v", got, e, err)
		}
	}
}

func (s *scene) refused(want error) {
	s.Helper()
	got, err := s.Execute(func() (int, error) { s.Error("called"); return 7, nil })
	if got != 0 || err != want {
		s.Errorf("Execute is %d, %v; want 0, %v", got, err, want)
	}
}

func (s *scene) stands(state State, counts ...uint32) {
	s.Helper()
	if got := s.State(); got != state {
		s.Errorf("state is %v, want %v", got, state)
	}
	c := s.Counts()
	got := []uint32{
		c.Requests, c.TotalSuccesses, c.TotalFailures, c.TotalExclusions, c.ConsecutiveSuccesses, c.ConsecutiveFailures,
	}
	if counts != nil && !slices.Equal(got, counts) {
		s.Errorf("counts are %v, want %v", got, counts)
	}
}

// begin starts a call that ends when the function is called.
func (s *scene) begin(err error) (end func()) {
	done, e := (&TwoStepCircuitBreaker[int]{s.CircuitBreaker}).Allow()
	if e != nil {
		s.Fatal(e)
	}
	return func() { done(err) }
}

func TestDefaults(t *testing.T) {
	s := newScene(t, Settings{})
	if s.Name() != "" {
		t.Error(s.Name())
	}
	s.call(5, errBad)
	s.stands(StateClosed, 5, 0, 5, 0, 0, 5)
	s.call(1, nil)
	s.stands(StateClosed, 6, 1, 5, 0, 1, 0)
	s.call(1, errBad)
	s.stands(StateClosed, 7, 1, 6, 0, 0, 1)
	s.call(5, errBad)
	s.stands(StateOpen, 0, 0, 0, 0, 0, 0)
	s.refused(ErrOpenState)
	s.stands(StateOpen, 0, 0, 0, 0, 0, 0)
	s.pass(59 * time.Second)
	s.stands(StateOpen)
	s.pass(1*time.Second + time.Millisecond)
	s.stands(StateHalfOpen, 0, 0, 0, 0, 0, 0)
	end := s.begin(nil)
	s.refused(ErrTooManyRequests)
	end()
	s.stands(StateClosed, 0, 0, 0, 0, 0, 0)
	want := []string{": closed to open", ": open to half-open", ": half-open to closed"}
	if !slices.Equal(s.seen, want) {
		t.Error(s.seen)
	}
}

func TestOwnSettings(t *testing.T) {
	s := newScene(t, Settings{
		Name: "cb", MaxRequests: 3, Interval: 30 * time.Second, Timeout: 90 * time.Second,
		ReadyToTrip: func(c Counts) bool { return c.Requests >= 3 && float64(c.TotalFailures)/float64(c.Requests) >= 0.6 },
	})
	for range 5 {
		s.call(1, nil)
		s.call(1, errBad)
	}
	s.stands(StateClosed, 10, 5, 5, 0, 0, 1)
	s.pass(29 * time.Second)
	s.call(1, nil)
	s.stands(StateClosed, 11, 6, 5, 0, 1, 0)
	s.pass(time.Second + time.Millisecond)
	s.call(1, errBad)
	s.stands(StateClosed, 1, 0, 1, 0, 0, 1)
	s.call(1, nil)
	s.call(1, errBad)
	s.stands(StateOpen, 0, 0, 0, 0, 0, 0)
	s.pass(90*time.Second + time.Millisecond)
	s.call(2, nil)
	s.stands(StateHalfOpen, 2, 2, 0, 0, 2, 0)
	ends := []func(){s.begin(nil)}
	s.refused(ErrTooManyRequests)
	ends[0]()
	s.stands(StateClosed, 0, 0, 0, 0, 0, 0)
	if want := []string{"cb: closed to open", "cb: open to half-open", "cb: half-open to closed"}; !slices.Equal(s.seen, want) {
		t.Error(s.seen)
	}
}

func TestHalfOpenFails(t *testing.T) {
	s := newScene(t, Settings{MaxRequests: 3})
	s.call(6, errBad)
	s.pass(time.Minute + time.Millisecond)
	good := s.begin(nil)
	s.call(1, errBad)
	s.stands(StateOpen)
	good()
	s.stands(StateOpen, 0, 0, 0, 0, 0, 0)
}

func TestRollingWindow(t *testing.T) {
	s := newScene(t, Settings{Interval: 25 * time.Second, BucketPeriod: 10 * time.Second})
	s.call(2, nil)
	s.call(1, errBad)
	old := s.begin(nil)
	for range 2 {
		s.pass(10*time.Second + time.Millisecond)
		s.call(1, nil)
	}
	s.stands(StateClosed, 6, 4, 1, 0, 2, 0)
	s.pass(10 * time.Second) // the interval is rounded up to three buckets, of which the first is over
	s.stands(StateClosed, 2, 2, 0, 0, 2, 0)
	old()
	s.stands(StateClosed, 2, 2, 0, 0, 2, 0)
	s.call(6, errBad)
	s.stands(StateOpen)
}

func TestPanicAndGoexit(t *testing.T) {
	var judged []string
	s := newScene(t, Settings{IsSuccessful: func(err error) bool {
		judged = append(judged, err.Error())
		return false
	}})
	func() {
		defer func() {
			if e := recover(); e != "oops" {
				t.Error(e)
			}
		}()
		s.Execute(func() (int, error) { panic("oops") })
	}()
	s.stands(StateClosed, 1, 0, 1, 0, 0, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.Execute(func() (int, error) { runtime.Goexit(); return 0, nil })
	}()
	<-gone
	s.stands(StateClosed, 2, 0, 2, 0, 0, 2)
	if judged[0] != "oops" || len(judged) != 2 {
		t.Error(judged)
	}
}

func TestGenerations(t *testing.T) {
	s := newScene(t, Settings{Interval: 30 * time.Second})
	s.pass(29 * time.Second)
	s.call(1, nil)
	late := s.begin(errBad)
	s.pass(2 * time.Second)
	s.call(1, nil)
	late()
	s.stands(StateClosed, 1, 1, 0, 0, 1, 0)
}

func TestExclusionComesFirst(t *testing.T) {
	errLeft, errFine := errors.New("left"), errors.New("fine")
	s := newScene(t, Settings{
		IsExcluded:   func(err error) bool { return err == errLeft },
		IsSuccessful: func(err error) bool { return err == nil || err == errFine || err == errLeft },
	})
	s.call(1, errLeft)
	s.stands(StateClosed, 1, 0, 0, 1, 0, 0)
	s.call(1, errFine)
	s.call(1, nil)
	s.stands(StateClosed, 3, 2, 0, 1, 2, 0)
	s.call(1, errLeft)
	s.call(1, errBad)
	s.stands(StateClosed, 5, 2, 1, 2, 0, 1)
	s.call(5, errBad)
	s.pass(2 * time.Minute)
	s.call(3, errLeft) // each gives its place back
	s.stands(StateHalfOpen, 3, 0, 0, 3, 0, 0)
	s.call(1, nil)
	s.stands(StateClosed)
}

func TestTwoSteps(t *testing.T) {
	two := NewTwoStepCircuitBreaker[bool](Settings{Name: "two"})
	for range 6 {
		done, err := two.Allow()
		if err != nil {
			t.Fatal(err)
		}
		done(errBad)
	}
	if done, err := two.Allow(); done != nil || err != ErrOpenState {
		t.Error(err)
	}
	if two.Name() != "two" || two.State() != StateOpen || two.Counts() != (Counts{}) {
		t.Error(two.Name(), two.State(), two.Counts())
	}
}

// The functions of the settings may use the breaker: gobreaker would stand
// still for ever.
func TestCallbacksMayUseTheBreaker(t *testing.T) {
	var s *scene
	s = newScene(t, Settings{
		ReadyToTrip:   func(Counts) bool { return s.State() == StateClosed && s.Counts().TotalFailures == 1 },
		OnStateChange: func(string, State, State) { s.refused(ErrOpenState) },
	})
	s.call(1, errBad)
	s.stands(StateOpen)
}

// A verdict on counts that are gone opens nothing.
func TestALateVerdictChangesNothing(t *testing.T) {
	var s *scene
	s = newScene(t, Settings{Interval: time.Second, ReadyToTrip: func(Counts) bool {
		s.pass(2 * time.Second)
		s.State()
		return true
	}})
	s.call(1, errBad)
	s.stands(StateClosed, 0, 0, 0, 0, 0, 0)
}

func TestStates(t *testing.T) {
	for state, want := range []string{"closed", "half-open", "open", "unknown state: 3"} {
		if got := State(state).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAStormIsCountedExactly(t *testing.T) {
	for name, st := range map[string]Settings{
		"forgets nothing": {}, "buckets": {Interval: time.Hour, BucketPeriod: time.Minute}, "an interval": {Interval: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			const goroutines, calls = 8, 5000
			cb := NewCircuitBreaker[int](st)
			everywhere(goroutines, func() {
				for range calls {
					cb.Execute(func() (int, error) { return 1, nil })
				}
			})
			c := cb.Counts()
			if c.Requests != goroutines*calls || c.TotalSuccesses != goroutines*calls || c.ConsecutiveSuccesses != goroutines*calls {
				t.Error(c)
			}
		})
	}
}

func TestHalfOpenLetsNoMorePassInAStorm(t *testing.T) {
	s := newScene(t, Settings{MaxRequests: 100})
	s.call(6, errBad)
	s.pass(2 * time.Minute)
	var passed atomic.Uint32
	everywhere(8, func() {
		for range 1000 {
			if _, err := s.of.ask(); err == nil {
				passed.Add(1)
			}
		}
	})
	if passed.Load() != 100 {
		t.Error(passed.Load())
	}
}

// Of many failures at once one opens it, and that is heard once.
func TestItOpensOnceInAStorm(t *testing.T) {
	for range 200 {
		var heard atomic.Uint32
		cb := NewCircuitBreaker[int](Settings{
			ReadyToTrip:   func(c Counts) bool { return c.TotalFailures >= 8 },
			OnStateChange: func(string, State, State) { heard.Add(1) },
		})
		everywhere(8, func() { cb.Execute(func() (int, error) { return 0, errBad }) })
		if heard.Load() != 1 || cb.State() != StateOpen {
			t.Fatal(heard.Load(), cb.State(), cb.Counts())
		}
	}
}

func everywhere(goroutines int, do func()) {
	var all sync.WaitGroup
	for range goroutines {
		all.Add(1)
		go func() { defer all.Done(); do() }()
	}
	all.Wait()
}

func TestExecuteAllocatesNothing(t *testing.T) {
	cb := NewCircuitBreaker[int](Settings{Interval: time.Minute})
	req := func() (int, error) { return 1, nil }
	if n := testing.AllocsPerRun(1000, func() { cb.Execute(req) }); n != 0 {
		t.Error(n)
	}
}

func BenchmarkExecute(b *testing.B) {
	for name, st := range map[string]Settings{"plain": {}, "interval": {Interval: time.Minute}} {
		cb := NewCircuitBreaker[int](st)
		req := func() (int, error) { return 1, nil }
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				cb.Execute(req)
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					cb.Execute(req)
				}
			})
		})
	}
}
