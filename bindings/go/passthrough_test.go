//go:build !cgo || !linux || tidegate_passthrough

package tidegate_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

func passing(t *testing.T) *tidegate.Runtime {
	t.Helper()
	rt, err := tidegate.Open(tidegate.WithVirtualClock(time.Hour))
	must(t, err)
	t.Cleanup(func() { must(t, rt.Close()) })
	return rt
}

func TestPassThroughSaysSo(t *testing.T) {
	rt := passing(t)
	if tidegate.Available() || !rt.PassThrough() || tidegate.Version() != "" || tidegate.HasPolicies() {
		t.Fatal("claims to have a library")
	}
}

func TestPassThroughAdmitsEverything(t *testing.T) {
	rt := passing(t)
	g := guard(t, rt, "g")
	for range 100 {
		permit, err := g.Enter(t.Context(), tidegate.WithCost(1<<40), tidegate.WithAttribute("a", "b"))
		must(t, err)
		if permit.Guarded() || permit.Route() != 0 {
			t.Fatal("claims to be guarded")
		}
		defer permit.Exit(tidegate.Success)
	}
	mustBe(t, g.Do(t.Context(), fail), errBackend)
	gone, leave := context.WithCancel(t.Context())
	leave()
	mustBe(t, g.Do(gone, succeed), context.Canceled)
	must(t, g.Retire())
}

func TestPassThroughAnswersNothingItDoesNotKnow(t *testing.T) {
	rt := passing(t)
	_, statsErr := guard(t, rt, "g").Stats()
	_, versionErr := rt.RulesVersion()
	_, metricsErr := rt.WriteMetrics(io.Discard, "")
	_, generationErr := rt.PolicyGeneration("p")
	for what, err := range map[string]error{
		"stats": statsErr, "version": versionErr, "metrics": metricsErr, "generation": generationErr,
		"rules": rt.ApplyRules([]byte(`{}`)), "check": tidegate.CheckRules([]byte(`{}`)),
		"clock": rt.Clock().Advance(1), "set": rt.Clock().Set(1),
		"load": rt.LoadPolicy("p", nil, tidegate.PolicyOptions{}), "unload": rt.UnloadPolicy("p"),
		"check policy": rt.CheckPolicy(nil, tidegate.PolicyOptions{}), "roll back": rt.RollbackPolicy("p"),
	} {
		if !errors.Is(err, tidegate.ErrUnavailable) || errors.Is(err, tidegate.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(rt.Faults()) != 0 {
		t.Fatal(rt.Faults())
	}
}

func TestPassThroughInstrumentsForget(t *testing.T) {
	rt := passing(t)
	c, err := rt.Counter(orders, tidegate.Label{Name: "kind", Value: "gift"})
	must(t, err)
	g, err := rt.Gauge(orders)
	must(t, err)
	h, err := rt.Histogram(orders)
	must(t, err)
	c.Inc()
	g.Set(1)
	g.Add(1)
	h.Record(1)
	h.RecordAll([]float64{1})
	_, counterErr := c.Value()
	_, gaugeErr := g.Value()
	_, quantileErr := h.Quantile(0.5)
	for _, err := range []error{counterErr, gaugeErr, quantileErr} {
		mustBe(t, err, tidegate.ErrUnavailable)
	}
	must(t, errors.Join(c.Retire(), g.Retire(), h.Retire()))
}

func TestPassThroughNeedsNoQueue(t *testing.T) {
	q := tidegate.NewQueue(guard(t, passing(t), "g"), tidegate.QueueOptions{})
	permit, err := q.Enter(t.Context())
	must(t, err)
	mustBe(t, q.Do(t.Context(), fail), errBackend)
	must(t, permit.Exit(tidegate.Success))
	if q.Waiting() != 0 {
		t.Fatal(q.Waiting())
	}
}

func TestPassThroughCachesByTheMachinesClock(t *testing.T) {
	clock := passing(t).Clock()
	for fresh, want := range map[time.Duration]string{time.Hour: "one", 1: "two"} {
		c := tidegate.NewResultCache[string, string](tidegate.ResultCacheOptions[string]{Fresh: fresh, Clock: clock})
		mustGive(t, c, gives("one", nil), "one")
		for start := time.Now(); time.Since(start) <= 1; { // a nanosecond has to pass
		}
		mustGive(t, c, gives("two", nil), want)
	}
}

func TestPassThroughServesHTTP(t *testing.T) {
	rt := passing(t)
	if code := answer(rt.Middleware("g")(respond(http.StatusNoContent)), "GET"); code != http.StatusNoContent {
		t.Fatal(code)
	}
	if code := answer(rt.MetricsHandler(), "GET"); code != http.StatusServiceUnavailable {
		t.Fatal(code)
	}
	server := httptest.NewServer(respond(http.StatusNoContent))
	defer server.Close()
	response, err := (&http.Client{Transport: rt.RoundTripper(nil, "g")}).Get(server.URL)
	must(t, err)
	must(t, response.Body.Close())
}

func TestPassThroughRetriesNothing(t *testing.T) {
	attempts := 0
	mustBe(t, guard(t, passing(t), "g").RetryAttempts(t.Context(), func([]tidegate.CallOption) tidegate.Attempt {
		attempts++
		return tidegate.Attempt{Err: errBackend, Outcome: tidegate.Failure}
	}), errBackend)
	if attempts != 1 {
		t.Fatal(attempts)
	}
}
