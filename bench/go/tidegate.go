package main

import (
	"context"
	"os"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// tidegateCases goes through the Go binding as a service would: Enter and Exit of a guard, and series
// resolved once. The token bucket and the breaker are guards with that one stage.
func tidegateCases(rules, policy string) ([]benchCase, error) {
	rt, err := openTidegate(rules, policy)
	if err != nil {
		return nil, err
	}
	var cases []benchCase
	for _, g := range []struct{ work, name string }{
		{"guard", "bench.guard"}, {"guard_policy", "bench.policy"},
		{"token_bucket", "bench.rate"}, {"breaker", "bench.breaker"},
	} {
		guard, err := rt.Guard(g.name)
		if err != nil {
			return nil, err
		}
		cases = append(cases, tidegateGuard(g.work, guard))
	}
	for _, more := range []func(*tidegate.Runtime) ([]benchCase, error){tidegateInstruments, disciplineCases} {
		found, err := more(rt)
		if err != nil {
			return nil, err
		}
		cases = append(cases, found...)
	}
	return cases, nil
}

func openTidegate(rulesPath, policyPath string) (*tidegate.Runtime, error) {
	rules, err := os.ReadFile(rulesPath)
	if err != nil {
		return nil, err
	}
	policy, err := os.ReadFile(policyPath)
	if err != nil {
		return nil, err
	}
	rt, err := tidegate.Open(tidegate.WithFailClosed(), tidegate.WithoutSystemSampling())
	if err != nil {
		return nil, err
	}
	if err := rt.ApplyRules(rules); err != nil {
		return nil, err
	}
	return rt, rt.LoadPolicy("bench", policy, tidegate.PolicyOptions{})
}

func tidegateGuard(work string, guard *tidegate.Guard) benchCase {
	return benchCase{Work: work, Who: "tidegate-go", make: func() loop {
		ctx := context.Background()
		return func(n, steps int, x uint64) uint64 {
			for range n {
				permit, err := guard.Enter(ctx)
				if err != nil {
					fail(err)
				}
				_ = permit.Exit(tidegate.Success)
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

func tidegateInstruments(rt *tidegate.Runtime) ([]benchCase, error) {
	var labels []tidegate.Label
	for i, name := range labelNames {
		labels = append(labels, tidegate.Label{Name: name, Value: labelValues[i]})
	}
	counter, err := rt.Counter(tidegate.Instrument{Name: "bench_calls_total"}, labels...)
	if err != nil {
		return nil, err
	}
	histogram, err := rt.Histogram(tidegate.Instrument{Name: "bench_duration_seconds"}, labels...)
	if err != nil {
		return nil, err
	}
	return []benchCase{tidegateCounter(counter), tidegateHistogram(histogram)}, nil
}

func tidegateCounter(counter *tidegate.Counter) benchCase {
	return benchCase{Work: "counter", Who: "tidegate-go", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				counter.Add(1)
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

func tidegateHistogram(histogram *tidegate.Histogram) benchCase {
	return benchCase{Work: "histogram", Who: "tidegate-go", make: func() loop {
		values := new(cycle)
		return func(n, steps int, x uint64) uint64 {
			for range n {
				histogram.Record(values.value())
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}
