package tidegate_test

import (
	"context"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

func TestRulesTimeoutEndsTheContextOnTheVirtualClock(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, halfASecond)
	err := g.Do(t.Context(), func(ctx context.Context) error {
		must(t, rt.Clock().Advance(499*time.Millisecond))
		if ctx.Err() != nil {
			t.Error("ended too early")
		}
		must(t, rt.Clock().Advance(time.Millisecond))
		<-ctx.Done()
		return ctx.Err()
	})
	mustBe(t, err, context.DeadlineExceeded)
	if s := stats(t, g); s.Calls[tidegate.TimedOut] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestVirtualDeadlineReachesInnerGuards(t *testing.T) {
	rt := openVirtual(t)
	outer := guarded(t, rt, halfASecond)
	inner := guard(t, rt, "inner")
	must(t, outer.Do(t.Context(), func(ctx context.Context) error {
		must(t, rt.Clock().Advance(200*time.Millisecond))
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		permit, err := inner.Enter(child)
		must(t, err)
		if left, ok := permit.TimeLeft(); !ok || left != 300*time.Millisecond {
			t.Errorf("%s left, %v", left, ok)
		}
		return permit.Exit(tidegate.Success)
	}))
}

func TestVirtualContextEndsWithItsParent(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, halfASecond)
	caller, leave := context.WithCancel(t.Context())
	err := g.Do(caller, func(ctx context.Context) error {
		leave()
		<-ctx.Done()
		return ctx.Err()
	})
	mustBe(t, err, context.Canceled)
	if s := stats(t, g); s.Calls[tidegate.Cancelled] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestRulesTimeoutGivesTheContextADeadline(t *testing.T) {
	g := guarded(t, open(t), `{"timeout": "1h"}`)
	before := time.Now()
	must(t, g.Do(t.Context(), func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if !ok || deadline.Before(before.Add(59*time.Minute)) || deadline.After(time.Now().Add(time.Hour)) {
			t.Errorf("deadline %s, %v", deadline.Sub(before), ok)
		}
		return nil
	}))
}

func TestEarlierDeadlineOfTheCallerStays(t *testing.T) {
	g := guarded(t, open(t), `{"timeout": "1h"}`)
	caller, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, g.Do(caller, func(ctx context.Context) error {
		if ctx != caller {
			t.Error("a context was made for nothing")
		}
		return nil
	}))
	longer, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	must(t, g.Do(longer, func(ctx context.Context) error {
		outer, _ := longer.Deadline()
		if inner, ok := ctx.Deadline(); !ok || !inner.Before(outer) {
			t.Error("the rules' timeout is earlier and does not count")
		}
		return nil
	}))
}

func TestPassedDeadlineIsRefused(t *testing.T) {
	g := guard(t, open(t), "g")
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	mustRefuse(t, g.Do(late, succeed), tidegate.ErrRefusedDeadline)
}

func TestCallerWhoLeftIsNotEntered(t *testing.T) {
	g := guard(t, open(t), "g")
	gone, leave := context.WithCancel(t.Context())
	leave()
	mustBe(t, g.Do(gone, succeed), context.Canceled)
	if s := stats(t, g); s.Calls != [6]uint64{} || s.Rejected != [9]uint64{} {
		t.Fatalf("%+v", s)
	}
}

func TestTimeLimitIsOnTheRuntimesClock(t *testing.T) {
	g := guard(t, openVirtual(t), "g")
	permit, err := g.Enter(t.Context(), tidegate.WithTimeLimit(time.Second))
	must(t, err)
	if left, ok := permit.TimeLeft(); !ok || left != time.Second {
		t.Fatal(left, ok)
	}
	must(t, permit.Exit(tidegate.Success))
}
