package prometheus_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tidegate/tidegate/bindings/go"
	tgprom "github.com/tidegate/tidegate/bindings/go/prometheus"
)

func open(t *testing.T) (*tidegate.Runtime, *client.Registry) {
	t.Helper()
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := tidegate.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	registry := client.NewPedanticRegistry()
	registry.MustRegister(tgprom.NewCollector(rt))
	return rt, registry
}

func TestCollectorShowsCountersGaugesAndHistograms(t *testing.T) {
	rt, registry := open(t)
	gifts, err := rt.Counter(tidegate.Instrument{Name: "orders_total", Help: "Orders taken."},
		tidegate.Label{Name: "kind", Value: `a "gift"`})
	if err != nil {
		t.Fatal(err)
	}
	gifts.Add(3)
	depth, err := rt.Gauge(tidegate.Instrument{Name: "queue_depth", Help: "Jobs that wait."})
	if err != nil {
		t.Fatal(err)
	}
	depth.Set(-2.5)
	want := `
# HELP orders_total Orders taken.
# TYPE orders_total counter
orders_total{kind="a \"gift\""} 3
# HELP queue_depth Jobs that wait.
# TYPE queue_depth gauge
queue_depth -2.5
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "orders_total", "queue_depth"); err != nil {
		t.Fatal(err)
	}
}

func TestCollectorShowsWhatGuardsCount(t *testing.T) {
	rt, registry := open(t)
	guard, err := rt.Guard("g")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := guard.Do(context.Background(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`tidegate_guard_calls_total{guard="g",outcome="success"} 2`,
		`tidegate_guard_duration_seconds_count{guard="g"} 2`,
		`tidegate_guard_inflight{guard="g"} 0`,
	} {
		if !strings.Contains(answer.Body.String(), line) {
			t.Errorf("%s is not in\n%s", line, answer.Body)
		}
	}
}

func TestCollectorOfAClosedRuntimeFails(t *testing.T) {
	rt, registry := open(t)
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Fatal(err)
	}
}
