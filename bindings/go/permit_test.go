package tidegate_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

func TestPermitExitedTwiceHoldsNothing(t *testing.T) {
	g := guarded(t, open(t), oneAtATime)
	permit, err := g.Enter(t.Context())
	must(t, err)
	must(t, permit.Exit(tidegate.Success))
	mustBe(t, permit.Exit(tidegate.Success), tidegate.ErrNotHeld)
	if s := stats(t, g); s.InFlight != 0 || s.Calls[tidegate.Success] != 1 || s.MisusedExits != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestPermitNeverEnteredHoldsNothing(t *testing.T) {
	var zero tidegate.Permit
	mustBe(t, zero.Exit(tidegate.Success), tidegate.ErrNotHeld)
	g := guarded(t, open(t), oneAtATime)
	held, err := g.Enter(t.Context())
	must(t, err)
	refused, err := g.Enter(t.Context())
	mustRefuse(t, err, tidegate.ErrRefusedConcurrency)
	mustBe(t, refused.Exit(tidegate.Success), tidegate.ErrNotHeld)
	must(t, held.Exit(tidegate.Success))
}

func TestExitWithAnUnknownOutcomeIsInvalidOnce(t *testing.T) {
	g := guarded(t, open(t), oneAtATime)
	permit, err := g.Enter(t.Context())
	must(t, err)
	mustBe(t, permit.Exit(tidegate.Outcome(77)), tidegate.ErrInvalid)
	_ = permit.Exit(tidegate.Failure)
	if s := stats(t, g); s.InFlight != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestPermitMayBeExitedOnAnotherThread(t *testing.T) {
	g := guarded(t, open(t), oneAtATime)
	handed := make(chan tidegate.Permit)
	var done group
	done.Go(func() {
		runtime.LockOSThread()
		permit, err := g.Enter(context.Background())
		if err != nil {
			t.Error(err)
		}
		handed <- permit
	})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	permit := <-handed
	must(t, permit.Exit(tidegate.Success))
	done.Wait()
	if s := stats(t, g); s.InFlight != 0 || s.Calls[tidegate.Success] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestMaxHoldTakesAPermitBack(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, `{"concurrency": {"max": 1}, "max_hold": "1m"}`)
	lost, err := g.Enter(t.Context())
	must(t, err)
	mustRefuse(t, g.Do(t.Context(), succeed), tidegate.ErrRefusedConcurrency)
	must(t, rt.Clock().Advance(2*time.Minute))
	must(t, g.Do(t.Context(), succeed))
	mustBe(t, lost.Exit(tidegate.Success), tidegate.ErrExpired)
	if s := stats(t, g); s.InFlight != 0 || s.Expired != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestPermitsOfAUsualCallTakeNoRoute(t *testing.T) {
	g := guard(t, open(t), "g")
	permit, err := g.Enter(t.Context())
	must(t, err)
	if _, limited := permit.TimeLeft(); limited || permit.Route() != 0 || !permit.Guarded() {
		t.Fatalf("limited %v, route %d, guarded %v", limited, permit.Route(), permit.Guarded())
	}
	must(t, permit.Exit(tidegate.Success))
}
