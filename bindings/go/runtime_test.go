package tidegate_test

import (
	"strings"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

func TestCloseTwiceAndNilIsHarmless(t *testing.T) {
	rt := open(t)
	must(t, rt.Close())
	must(t, rt.Close())
	must(t, (*tidegate.Runtime)(nil).Close())
}

func TestEverythingAnswersClosedAfterClose(t *testing.T) {
	rt := open(t)
	g := guard(t, rt, "g")
	counter, err := rt.Counter(tidegate.Instrument{Name: "c"})
	must(t, err)
	held, err := g.Enter(t.Context())
	must(t, err)
	must(t, rt.Close())

	_ = held.Exit(tidegate.Success)
	counter.Inc()
	_, guardErr := rt.Guard("other")
	_, statsErr := g.Stats()
	_, valueErr := counter.Value()
	_, versionErr := rt.RulesVersion()
	_, metricsErr := rt.WriteMetrics(&strings.Builder{}, "")
	for what, err := range map[string]error{
		"guard": guardErr, "stats": statsErr, "value": valueErr, "version": versionErr, "metrics": metricsErr,
		"rules": rt.ApplyRules([]byte(`{"version": 1}`)), "clock": rt.Clock().Advance(1),
		"policy": rt.LoadPolicy("p", nil, tidegate.PolicyOptions{}), "unload": rt.UnloadPolicy("p"),
	} {
		if t.Run(what, func(t *testing.T) { mustBe(t, err, tidegate.ErrClosed) }); rt.Clock().Now() != 0 {
			t.Fatal("the clock goes on")
		}
	}
}

func TestClosedRuntimeLetsCallsPassUnlessToldOtherwise(t *testing.T) {
	rt := open(t)
	g := guarded(t, rt, oneAtATime)
	must(t, rt.Close())
	for range 3 {
		permit, err := g.Enter(t.Context())
		must(t, err)
		if permit.Guarded() {
			t.Fatal("says that it is guarded")
		}
		must(t, g.Do(t.Context(), succeed))
		must(t, permit.Exit(tidegate.Success))
	}
	mustBe(t, g.Do(t.Context(), succeed, tidegate.WithFailClosed()), tidegate.ErrClosed)
	if n := rt.Faults()[tidegate.ErrClosed]; n != 7 {
		t.Fatal(n)
	}
}

func TestFailClosedForTheWholeRuntime(t *testing.T) {
	rt := open(t, tidegate.WithFailClosed())
	g := guard(t, rt, "g")
	must(t, g.Do(t.Context(), succeed))
	must(t, rt.Close())
	mustBe(t, g.Do(t.Context(), succeed), tidegate.ErrClosed)
}

func TestCloseUnderLoad(t *testing.T) {
	rt := open(t)
	g := guarded(t, rt, `{"timeout": "1h", "concurrency": {"max": 8}}`)
	var all group
	started := make(chan struct{}, 4)
	for range 4 {
		all.Go(func() {
			for i := range 2000 {
				_ = g.Do(t.Context(), succeed)
				_, _ = rt.RulesVersion()
				if i == 100 {
					started <- struct{}{}
				}
			}
		})
	}
	<-started
	must(t, rt.Close())
	all.Wait()
	must(t, g.Do(t.Context(), succeed))
}

func TestOneNameIsOneSegment(t *testing.T) {
	a := open(t, tidegate.WithName("go-test-shared"))
	b := open(t, tidegate.WithName("go-test-shared"))
	held, err := guarded(t, a, oneAtATime).Enter(t.Context())
	must(t, err)
	mustRefuse(t, guard(t, b, "g").Do(t.Context(), succeed), tidegate.ErrRefusedConcurrency)
	must(t, held.Exit(tidegate.Success))
	must(t, guard(t, b, "g").Do(t.Context(), succeed))
}

func TestOpenChecksItsOptions(t *testing.T) {
	for _, option := range []tidegate.Option{
		tidegate.WithSegmentBytes(1), tidegate.WithMaxThreads(0), tidegate.WithMaxThreads(1 << 20),
		tidegate.WithMaxGuards(-1), tidegate.WithName("\xff"),
	} {
		open(t)
		rt, err := tidegate.Open(option)
		mustBe(t, err, tidegate.ErrInvalid)
		must(t, rt.Close())
	}
}

func TestLibrarySaysWhatItIs(t *testing.T) {
	rt := open(t)
	if rt.PassThrough() || tidegate.Version() == "" {
		t.Fatalf("pass-through %v, version %q", rt.PassThrough(), tidegate.Version())
	}
}
