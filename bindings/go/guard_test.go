package tidegate_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

const (
	oneAtATime  = `{"concurrency": {"max": 1}}`
	tenASecond  = `{"rate": [{"limit": 10, "per": "1s", "burst": 1}]}`
	breakOnTwo  = `{"breaker": {"consecutive_failures": 2, "open_for": "5s", "probes": 1}}`
	halfASecond = `{"timeout": "500ms"}`
)

func TestDoRunsTheCallAndCountsIt(t *testing.T) {
	g := guard(t, open(t), "g")
	must(t, g.Do(t.Context(), succeed))
	mustBe(t, g.Do(t.Context(), fail), errBackend)
	s := stats(t, g)
	if s.Calls[tidegate.Success] != 1 || s.Calls[tidegate.Failure] != 1 || s.InFlight != 0 {
		t.Fatalf("%+v", s)
	}
	if s.Latency.Count != 2 {
		t.Fatalf("%d latencies", s.Latency.Count)
	}
}

func TestRateRefusalTellsWhenToComeBack(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, tenASecond)
	must(t, g.Do(t.Context(), succeed))
	ran := false
	err := g.Do(t.Context(), func(context.Context) error { ran = true; return nil })
	refused := mustRefuse(t, err, tidegate.ErrRefusedRate)
	if ran || refused.Stage != tidegate.StageRate || refused.Guard != "g" {
		t.Fatalf("ran %v, %+v", ran, refused)
	}
	if refused.RetryAfter != 100*time.Millisecond {
		t.Fatalf("retry after %s", refused.RetryAfter)
	}
	if !strings.Contains(err.Error(), "retry after 100ms") {
		t.Fatal(err)
	}
	must(t, rt.Clock().Advance(5*time.Second+time.Millisecond)) // it counts time in steps of 65 us
	must(t, g.Do(t.Context(), succeed))
}

func TestRefusalsMatchTheirStageOnly(t *testing.T) {
	g := guarded(t, open(t), oneAtATime)
	permit, err := g.Enter(t.Context())
	must(t, err)
	_, err = g.Enter(t.Context())
	mustRefuse(t, err, tidegate.ErrRefusedConcurrency)
	if errors.Is(err, tidegate.ErrRefusedRate) || errors.Is(err, tidegate.ErrClosed) {
		t.Fatal("matches another status")
	}
	must(t, permit.Exit(tidegate.Success))
	must(t, g.Do(t.Context(), succeed))
}

func TestBreakerOpensAndCloses(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, breakOnTwo)
	for range 2 {
		mustBe(t, g.Do(t.Context(), fail), errBackend)
	}
	mustRefuse(t, g.Do(t.Context(), succeed), tidegate.ErrRefusedBreaker)
	if s := stats(t, g); s.Breaker != tidegate.BreakerOpen || s.Rejected[tidegate.StageBreaker] != 1 {
		t.Fatalf("%+v", s)
	}
	must(t, rt.Clock().Advance(5*time.Second+time.Millisecond)) // it counts time in steps of 65 us
	must(t, g.Do(t.Context(), succeed))
	if s := stats(t, g); s.Breaker != tidegate.BreakerClosed {
		t.Fatal(s.Breaker)
	}
}

func TestPanicAndGoexitCountAsFailureAndGoOn(t *testing.T) {
	g := guarded(t, open(t), oneAtATime)
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic did not come through")
			}
		}()
		_ = g.Do(t.Context(), func(context.Context) error { panic("boom") })
	}()
	returned := true
	var done group
	done.Go(func() {
		returned = false
		_ = g.Do(t.Context(), func(context.Context) error { runtime.Goexit(); return nil })
		returned = true
	})
	done.Wait()
	if s := stats(t, g); returned || s.Calls[tidegate.Failure] != 2 || s.InFlight != 0 {
		t.Fatalf("returned %v, %+v", returned, s)
	}
}

func TestCostTakesSeveralUnits(t *testing.T) {
	g := guarded(t, openVirtual(t), `{"rate": [{"limit": 10, "per": "1s", "burst": 10}]}`)
	must(t, g.Do(t.Context(), succeed, tidegate.WithCost(10)))
	refused := mustRefuse(t, g.Do(t.Context(), succeed, tidegate.WithCost(5)), tidegate.ErrRefusedRate)
	if refused.RetryAfter != 500*time.Millisecond {
		t.Fatal(refused.RetryAfter)
	}
	refused = mustRefuse(t, g.Do(t.Context(), succeed, tidegate.WithCost(11)), tidegate.ErrRefusedRate)
	if refused.RetryAfter != tidegate.NeverRetry {
		t.Fatal(refused.RetryAfter)
	}
}

func TestOptionsGivenToOpenHoldForEveryCall(t *testing.T) {
	g := guarded(t, openVirtual(t, tidegate.WithCost(11)), `{"rate": [{"limit": 10, "per": "1s", "burst": 10}]}`)
	mustRefuse(t, g.Do(t.Context(), succeed), tidegate.ErrRefusedRate)
	must(t, g.Do(t.Context(), succeed, tidegate.WithCost(10)))
}

func TestCallsMayCarryKeyCriticalityAndAttributes(t *testing.T) {
	rt := open(t)
	g := guarded(t, rt, oneAtATime)
	long := strings.Repeat("x", 5000)
	for range 3 {
		must(t, g.Do(t.Context(), succeed, tidegate.WithKey("tenant-7"), tidegate.WithCriticality(tidegate.Critical),
			tidegate.WithAttribute("method", "GET"), tidegate.WithAttribute("empty", ""), tidegate.WithAttribute("path", long)))
	}
	if faults := rt.Faults(); len(faults) != 0 {
		t.Fatal(faults)
	}
}

func TestAttributesBeyondSixteenAreLeftOutAndCounted(t *testing.T) {
	rt := open(t)
	g := guard(t, rt, "g")
	var many []tidegate.CallOption
	for range 18 {
		many = append(many, tidegate.WithAttribute("a", "v"))
	}
	must(t, g.Do(t.Context(), succeed, many...))
	if n := rt.Faults()[tidegate.ErrInvalid]; tidegate.HasPolicies() && n != 2 || stats(t, g).Calls[tidegate.Success] != 1 {
		t.Fatal(rt.Faults())
	}
}

func TestGuardsAreResolvedOnce(t *testing.T) {
	rt := open(t)
	if guard(t, rt, "a") != guard(t, rt, "a") || guard(t, rt, "a") == guard(t, rt, "b") {
		t.Fatal("same name, same guard")
	}
	for _, name := range []string{"", "\xff\xfe", strings.Repeat("n", 1<<20)} {
		_, err := rt.Guard(name)
		mustBe(t, err, tidegate.ErrInvalid)
	}
}

func TestRetiredGuardLetsPassAndMayBeMadeAgain(t *testing.T) {
	rt := open(t)
	old := guarded(t, rt, oneAtATime)
	must(t, old.Retire())
	must(t, old.Do(t.Context(), succeed))
	if rt.Faults()[tidegate.ErrClosed] != 1 {
		t.Fatal(rt.Faults())
	}
	again := guard(t, rt, "g")
	must(t, again.Do(t.Context(), succeed))
	if s := stats(t, again); s.Calls[tidegate.Success] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestManyGoroutinesLeaveNothingInFlight(t *testing.T) {
	rt := open(t)
	g := guarded(t, rt, `{"concurrency": {"max": 4}}`)
	const goroutines, calls = 16, 500
	var all group
	for range goroutines {
		all.Go(func() {
			for range calls {
				err := g.Do(t.Context(), func(context.Context) error { runtime.Gosched(); return nil })
				if err != nil && !errors.Is(err, tidegate.ErrRefusedConcurrency) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s := stats(t, g)
	if got := s.Calls[tidegate.Success] + s.Rejected[tidegate.StageConcurrency]; got != goroutines*calls || s.InFlight != 0 {
		t.Fatalf("%d of %d, %+v", got, goroutines*calls, s)
	}
}
