package tidegate

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// waiting runs a sleep on a virtual clock in a goroutine of its own, and
// returns when it has come to its wait.
func waiting(t *testing.T, rt *Runtime, ctx context.Context, d time.Duration) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- rt.clock.sleep(ctx, d) }()
	if err := rt.Clock().BlockUntilWaiting(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	return ended
}

func virtual(t *testing.T) *Runtime {
	t.Helper()
	if !Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := Open(WithVirtualClock(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

func TestWaitEndsWhenTheVirtualClockReachesIt(t *testing.T) {
	rt := virtual(t)
	ended := waiting(t, rt, t.Context(), time.Minute)
	for _, step := range []time.Duration{time.Second, 58 * time.Second} {
		if err := rt.Clock().Advance(step); err != nil {
			t.Fatal(err)
		}
	}
	if _, n := rt.clock.timers.sleepers(); n != 1 {
		t.Fatal("woken too early")
	}
	if err := rt.Clock().Set(time.Hour + time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	rt := virtual(t)
	ctx, leave := context.WithCancel(t.Context())
	ended := waiting(t, rt, ctx, time.Minute)
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, n := rt.clock.timers.sleepers(); n != 0 {
		t.Fatal("its timer was left behind")
	}
}

func TestWaitEndsWithTheRuntime(t *testing.T) {
	rt := virtual(t)
	ended := waiting(t, rt, t.Context(), time.Minute)
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestCallerWhoLeavesAWaitGivesThePermitBack(t *testing.T) {
	rt := virtual(t)
	g, err := rt.Guard("g")
	if err != nil {
		t.Fatal(err)
	}
	var p Permit
	if err := g.enter(t.Context(), &p, nil); err != nil {
		t.Fatal(err)
	}
	p.entry.wait = uint64(time.Minute)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if err := g.wait(ctx, &p); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s, err := g.Stats(); err != nil || s.InFlight != 0 || s.Calls[Cancelled] != 1 {
		t.Fatalf("%v, %+v", err, s)
	}
}

func TestMachinesClockIsNotMovedButWaitedFor(t *testing.T) {
	if !Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for _, err := range []error{rt.Clock().Advance(1), rt.Clock().Set(1)} {
		if !errors.Is(err, ErrUnsupported) {
			t.Fatal(err)
		}
	}
	if err := rt.clock.sleep(t.Context(), time.Microsecond); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if err := rt.clock.sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestVirtualClockMovesBothWays(t *testing.T) {
	rt := virtual(t)
	for want, step := range map[time.Duration]func() error{
		time.Hour + time.Second: func() error { return rt.Clock().Advance(time.Second) },
		time.Minute:             func() error { return rt.Clock().Set(time.Minute) },
	} {
		if err := step(); err != nil || rt.Clock().Now() != want {
			t.Fatal(err, rt.Clock().Now())
		}
		if err := rt.Clock().Set(time.Hour); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDroppedRuntimeIsClosed(t *testing.T) {
	if !Available() {
		t.Skip("built without libtidegate")
	}
	dropped := func() *closing {
		rt, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		return rt.closing
	}()
	collect(t, func() bool {
		dropped.RLock()
		defer dropped.RUnlock()
		return dropped.closed
	})
}

// collect runs the collector until done is true.
func collect(t *testing.T, done func() bool) {
	t.Helper()
	for range 1000 {
		if runtime.GC(); done() {
			return
		}
	}
	t.Fatal("still not done after 1000 collections")
}
