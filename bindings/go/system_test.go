package tidegate_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

const protected = `{"schema": 1, "version": 1, "guards": {"g": {"system": {"cpu": 0.9, "memory": 0.9}}}}`

func TestLoadIsSampledWhileRulesWantIt(t *testing.T) {
	rt := open(t)
	if tidegate.Sampling(rt) {
		t.Fatal("samples without rules that want it")
	}
	must(t, rt.ApplyRules([]byte(protected)))
	for !strings.Contains(metrics(t, rt), "tidegate_system_memory_ratio 0.") {
		runtime.Gosched()
	}
	must(t, rt.ApplyRules([]byte(`{"schema": 1, "version": 2}`)))
	for tidegate.Sampling(rt) {
		runtime.Gosched()
	}
	must(t, rt.ApplyRules([]byte(strings.Replace(protected, `"version": 1`, `"version": 3`, 1))))
	if !tidegate.Sampling(rt) {
		t.Fatal("does not sample again")
	}
	must(t, rt.Close())
	for tidegate.Sampling(rt) {
		runtime.Gosched()
	}
}

func TestSamplingIsLeftToWhoSaysSo(t *testing.T) {
	for _, option := range []tidegate.Option{tidegate.WithoutSystemSampling(), tidegate.WithVirtualClock(0)} {
		rt := open(t, option)
		must(t, rt.ApplyRules([]byte(protected)))
		if tidegate.Sampling(rt) {
			t.Fatal("samples all the same")
		}
		must(t, rt.SampleSystem())
		if page := metrics(t, rt); !strings.Contains(page, "tidegate_system_memory_ratio 0.") {
			t.Fatal(page)
		}
	}
}

func TestLoadThatIsSaidIsShown(t *testing.T) {
	rt := openVirtual(t)
	must(t, rt.SetSystemLoad(0.25, 0.5))
	for _, want := range []string{"tidegate_system_cpu_ratio 0.25\n", "tidegate_system_memory_ratio 0.5\n"} {
		if page := metrics(t, rt); !strings.Contains(page, want) {
			t.Fatalf("%q is not in %s", want, page)
		}
	}
	mustBe(t, rt.SetSystemLoad(1.5, 0), tidegate.ErrInvalid)
	must(t, rt.Close())
	mustBe(t, rt.SetSystemLoad(0, 0), tidegate.ErrClosed)
	mustBe(t, rt.SampleSystem(), tidegate.ErrClosed)
}

func TestLevelsBeyondTheirRangeCountAsTheNearest(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, `{"concurrency": {"max": 8, "shed": "criticality"}}`)
	for range 7 {
		_, err := g.Enter(t.Context(), tidegate.WithCriticality(tidegate.Sheddable, -5))
		must(t, err)
	}
	_, err := g.Enter(t.Context(), tidegate.WithCriticality(tidegate.Sheddable, 0))
	mustRefuse(t, err, tidegate.ErrRefusedConcurrency)
	_, err = g.Enter(t.Context(), tidegate.WithCriticality(tidegate.Sheddable, 1000))
	must(t, err)
}

func metrics(t *testing.T, rt *tidegate.Runtime) string {
	t.Helper()
	var page strings.Builder
	if _, err := rt.WriteMetrics(&page, ""); err != nil {
		t.Fatal(err)
	}
	return page.String()
}
