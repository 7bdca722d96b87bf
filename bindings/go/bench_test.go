package tidegate_test

import (
	"context"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

// allStages has every native stage on and none of them in the way.
const allStages = `{
	"breaker": {"error_ratio": 0.5, "window": "10s", "min_calls": 20, "open_for": "5s", "probes": 3},
	"concurrency": {"max": 1000000},
	"rate": [{"limit": 1000000000, "per": "1s", "burst": 1000000000}]}`

func BenchmarkEnterExit(b *testing.B) {
	g := guarded(b, open(b), allStages)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		permit, err := g.Enter(ctx)
		if err != nil {
			b.Fatal(err)
		}
		_ = permit.Exit(tidegate.Success)
	}
}

func BenchmarkEnterExitParallel(b *testing.B) {
	g := guarded(b, open(b), allStages)
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			permit, _ := g.Enter(ctx)
			_ = permit.Exit(tidegate.Success)
		}
	})
}

func BenchmarkDo(b *testing.B) {
	g := guarded(b, open(b), allStages)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Do(ctx, succeed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDoWithKeyAndAttribute(b *testing.B) {
	g := guarded(b, open(b), allStages)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		err := g.Do(ctx, succeed, tidegate.WithKey("tenant-7"), tidegate.WithAttribute("method", "GET"))
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefused(b *testing.B) {
	g := guarded(b, open(b), oneAtATime)
	ctx := context.Background()
	held, err := g.Enter(ctx)
	must(b, err)
	defer func() { _ = held.Exit(tidegate.Success) }()
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Do(ctx, succeed); err == nil {
			b.Fatal("not refused")
		}
	}
}

func BenchmarkCounterInc(b *testing.B) {
	c, err := open(b).Counter(orders)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		c.Inc()
	}
}

func BenchmarkHistogramRecord(b *testing.B) {
	h, err := open(b).Histogram(tidegate.Instrument{Name: "wait_seconds"})
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		h.Record(0.25)
	}
}
