package tidegate_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

var errCallee = errors.New("callee")

func fails(t *testing.T, g *tidegate.Guard) {
	t.Helper()
	err := g.Do(t.Context(), func(context.Context) error { return errCallee })
	if !errors.Is(err, errCallee) {
		t.Fatal(err)
	}
}

func succeeds(t *testing.T, g *tidegate.Guard) {
	t.Helper()
	if err := g.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

const oneFailure = `{"breaker": {"consecutive_failures": 1, "open_for": "1s"}}`

func TestChangesOfABreakerAreHeard(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, oneFailure)
	changes := make(chan tidegate.BreakerChange, 10)
	stop, err := g.OnBreakerChange(func(change tidegate.BreakerChange) { changes <- change })
	if err != nil {
		t.Fatal(err)
	}
	fails(t, g) // heard at exit
	if err := rt.Clock().Advance(time.Second + time.Millisecond); err != nil {
		t.Fatal(err)
	}
	succeeds(t, g) // heard at enter and at exit
	heard := []tidegate.BreakerChange{<-changes, <-changes, <-changes}
	stop()
	stop()
	fails(t, g)
	want := []struct {
		from, to tidegate.BreakerState
		reason   tidegate.BreakerReason
	}{
		{tidegate.BreakerClosed, tidegate.BreakerOpen, tidegate.BreakerFailuresInARow},
		{tidegate.BreakerOpen, tidegate.BreakerHalfOpen, tidegate.BreakerOpenEnded},
		{tidegate.BreakerHalfOpen, tidegate.BreakerClosed, tidegate.BreakerProbesPassed},
	}
	if len(changes) != 0 {
		t.Error("heard after stop")
	}
	for i, w := range want {
		h := heard[i]
		if h.From != w.from || h.To != w.to || h.Reason != w.reason || h.Generation != heard[0].Generation+uint64(i) {
			t.Errorf("change %d is %+v, want %+v", i, h, w)
		}
	}
}

func TestTheListenerMayUseTheGuard(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, oneFailure)
	refused := make(chan error)
	stop, err := g.OnBreakerChange(func(change tidegate.BreakerChange) {
		if change.To == tidegate.BreakerOpen {
			err := g.Do(t.Context(), func(context.Context) error { return nil })
			if err := g.SetBreaker(tidegate.BreakerClosed); err != nil {
				t.Error(err)
			}
			refused <- err
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	fails(t, g)
	if err := <-refused; !errors.Is(err, tidegate.ErrRefusedBreaker) {
		t.Error(err)
	}
	succeeds(t, g)
	if s := stats(t, g); s.InFlight != 0 || s.Calls[tidegate.Failure] != 1 || s.Calls[tidegate.Success] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestSetBreakerByHand(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, `{}`)
	set := func(state tidegate.BreakerState) {
		t.Helper()
		if err := g.SetBreaker(state); err != nil {
			t.Fatal(err)
		}
	}
	set(tidegate.BreakerForcedOpen) // although no rules have a breaker
	err := g.Do(t.Context(), func(context.Context) error { return nil })
	if !errors.Is(err, tidegate.ErrRefusedBreaker) || stats(t, g).Breaker != tidegate.BreakerForcedOpen {
		t.Error(err, stats(t, g).Breaker)
	}
	set(tidegate.BreakerDisabled)
	succeeds(t, g)
	set(tidegate.BreakerClosed)
	if err := g.SetBreaker(tidegate.BreakerHalfOpen); !errors.Is(err, tidegate.ErrInvalid) {
		t.Error(err)
	}
}

func TestListenersComeAndGoAmidChanges(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, oneFailure)
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 200 {
				stop, err := g.OnBreakerChange(func(tidegate.BreakerChange) {})
				if err != nil {
					t.Error(err)
					return
				}
				if err := g.SetBreaker(tidegate.BreakerClosed); err != nil {
					t.Error(err)
				}
				stop()
			}
		}()
	}
	all.Wait()
	// One that stays hears what comes after all the others.
	last := make(chan struct{})
	stop, err := g.OnBreakerChange(func(tidegate.BreakerChange) { close(last) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := g.SetBreaker(tidegate.BreakerForcedOpen); err != nil {
		t.Fatal(err)
	}
	<-last
}

func TestListenersEndWithTheRuntime(t *testing.T) {
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := tidegate.Open()
	if err != nil {
		t.Fatal(err)
	}
	g := guard(t, rt, "g")
	stop, err := g.OnBreakerChange(func(tidegate.BreakerChange) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := g.OnBreakerChange(func(tidegate.BreakerChange) {}); !errors.Is(err, tidegate.ErrClosed) {
		t.Error(err)
	}
}
