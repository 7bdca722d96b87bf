package tidegate_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

// shared is one call of a Collapse that the test holds until it lets go.
type shared struct {
	calls   tidegate.Collapse[string, int]
	begun   chan context.Context
	release chan func() (int, error)
	runs    atomic.Int32
}

func newShared() *shared {
	return &shared{begun: make(chan context.Context, 10), release: make(chan func() (int, error))}
}

func (s *shared) run(ctx context.Context) (int, error) {
	s.runs.Add(1)
	s.begun <- ctx
	return (<-s.release)()
}

type got struct {
	value    int
	shared   bool
	err      error
	panicked any
	exited   bool
}

// ask calls Do in a goroutine of its own.
func (s *shared) ask(ctx context.Context) <-chan got {
	ended := make(chan got, 1)
	go func() {
		g := got{exited: true}
		defer func() {
			if g.panicked = recover(); g.panicked != nil {
				g.exited = false
			}
			ended <- g
		}()
		g.value, g.shared, g.err = s.calls.Do(ctx, "k", s.run)
		g.exited = false
	}()
	return ended
}

// join adds a caller to the call that is under way. Only a caller who waits
// can be told from one on its way by what the Collapse says of itself.
func (s *shared) join(t *testing.T, ctx context.Context, waiting int) <-chan got {
	t.Helper()
	ended := s.ask(ctx)
	for tidegate.Waiting(&s.calls, "k") < waiting {
		runtime.Gosched()
	}
	return ended
}

func TestCollapseSharesOneCall(t *testing.T) {
	s := newShared()
	callers := []<-chan got{s.join(t, t.Context(), 1), s.join(t, t.Context(), 2), s.join(t, t.Context(), 3)}
	s.release <- func() (int, error) { return 7, nil }
	for _, caller := range callers {
		if g := <-caller; g.value != 7 || g.err != nil || !g.shared {
			t.Errorf("%+v", g)
		}
	}
	if s.runs.Load() != 1 {
		t.Fatal(s.runs.Load())
	}
}

func TestCollapseSharesTheErrorAndForgetsIt(t *testing.T) {
	s := newShared()
	first := s.join(t, t.Context(), 1)
	s.release <- func() (int, error) { return 0, errBackend }
	if g := <-first; !errors.Is(g.err, errBackend) || g.shared {
		t.Fatalf("%+v", g)
	}
	second := s.ask(t.Context())
	s.release <- func() (int, error) { return 8, nil }
	if g := <-second; g.value != 8 || g.err != nil || s.runs.Load() != 2 {
		t.Fatalf("%+v", g)
	}
}

func TestLeaderWhoLeavesDoesNotEndTheOthersCall(t *testing.T) {
	s := newShared()
	ctx, leave := context.WithCancel(context.WithValue(t.Context(), "trace", "t1"))
	leader, other := s.join(t, ctx, 1), s.join(t, t.Context(), 2)
	inner := <-s.begun
	leave()
	if g := <-leader; !errors.Is(g.err, context.Canceled) {
		t.Fatalf("%+v", g)
	}
	if inner.Err() != nil || inner.Value("trace") != "t1" {
		t.Fatal(inner.Err(), inner.Value("trace"))
	}
	s.release <- func() (int, error) { return 7, nil }
	if g := <-other; g.value != 7 || g.err != nil {
		t.Fatalf("%+v", g)
	}
}

func TestLastCallerWhoLeavesEndsTheCall(t *testing.T) {
	s := newShared()
	one, leaveOne := context.WithCancel(t.Context())
	two, leaveTwo := context.WithCancel(t.Context())
	first, second := s.join(t, one, 1), s.join(t, two, 2)
	inner := <-s.begun
	leaveOne()
	<-first
	leaveTwo()
	<-second
	<-inner.Done()
	third := s.ask(t.Context()) // is not given the dying call
	<-s.begun
	s.release <- func() (int, error) { return 9, nil }
	s.release <- func() (int, error) { return 9, nil }
	if g := <-third; g.value != 9 || g.err != nil || s.runs.Load() != 2 {
		t.Fatalf("%+v", g)
	}
}

func TestPanicOfTheCallReachesEveryCaller(t *testing.T) {
	s := newShared()
	callers := []<-chan got{s.join(t, t.Context(), 1), s.join(t, t.Context(), 2)}
	s.release <- func() (int, error) { panic(errBackend) }
	for _, caller := range callers {
		g := <-caller
		panicked, ok := g.panicked.(*tidegate.PanicError)
		if !ok || panicked.Value != errBackend || !errors.Is(panicked, errBackend) || len(panicked.Stack) == 0 {
			t.Fatalf("%+v", g)
		}
	}
	if s.calls.Do(t.Context(), "k", func(context.Context) (int, error) { return 1, nil }); s.runs.Load() != 1 {
		t.Fatal("the panicked call is still there")
	}
}

func TestGoexitOfTheCallEndsEveryCaller(t *testing.T) {
	s := newShared()
	callers := []<-chan got{s.join(t, t.Context(), 1), s.join(t, t.Context(), 2)}
	s.release <- func() (int, error) { runtime.Goexit(); return 0, nil }
	for _, caller := range callers {
		if g := <-caller; !g.exited {
			t.Fatalf("%+v", g)
		}
	}
}

func TestPanicThatNobodyWaitsForIsTold(t *testing.T) {
	s := newShared()
	told := make(chan *tidegate.PanicError, 1)
	s.calls.OnAbandonedPanic = func(key string, p *tidegate.PanicError) { told <- p }
	ctx, leave := context.WithCancel(t.Context())
	only := s.join(t, ctx, 1)
	leave()
	<-only
	s.release <- func() (int, error) { panic("late") }
	if p := <-told; p.Value != "late" {
		t.Fatal(p)
	}
}

func TestCollapseUnderAStormRunsOncePerKeyAtATime(t *testing.T) {
	var (
		calls   tidegate.Collapse[int, int]
		inside  [4]atomic.Int32
		callers group
	)
	for i := range 64 {
		callers.Go(func() {
			for round := range 200 {
				key := (i + round) % len(inside)
				value, _, err := calls.Do(t.Context(), key, func(context.Context) (int, error) {
					defer inside[key].Add(-1)
					if inside[key].Add(1) != 1 {
						t.Error("two calls of one key at once")
					}
					runtime.Gosched()
					return key, nil
				})
				if err != nil || value != key {
					t.Error(value, err)
				}
			}
		})
	}
	callers.Wait()
}
