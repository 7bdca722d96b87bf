package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

var labelNames = []string{"guard", "outcome", "method"}
var labelValues = []string{"payments.charge", "success", "POST"}

// prometheusCases holds series taken out of their vector once and kept, which is the cheapest way it has.
func prometheusCases() []benchCase {
	counters := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total"}, labelNames)
	histograms := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "duration_seconds", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
	}, labelNames)
	prometheus.MustRegister(counters, histograms)
	return []benchCase{
		prometheusCounter(counters.WithLabelValues(labelValues...)),
		prometheusHistogram(histograms.WithLabelValues(labelValues...)),
	}
}

func prometheusCounter(counter prometheus.Counter) benchCase {
	return benchCase{Work: "counter", Who: "prometheus client_golang", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				counter.Inc()
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

func prometheusHistogram(histogram prometheus.Observer) benchCase {
	return benchCase{Work: "histogram", Who: "prometheus client_golang", make: func() loop {
		values := new(cycle)
		return func(n, steps int, x uint64) uint64 {
			for range n {
				histogram.Observe(values.value())
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

// otelCases has three attributes given at every call, as its documentation shows, in an SDK that would
// really collect them.
func otelCases() ([]benchCase, error) {
	provider := sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader()))
	meter := provider.Meter("bench")
	counter, err := meter.Int64Counter("calls")
	if err != nil {
		return nil, err
	}
	histogram, err := meter.Float64Histogram("duration")
	if err != nil {
		return nil, err
	}
	return []benchCase{otelCounter(counter), otelHistogram(histogram)}, nil
}

func attributes() metric.MeasurementOption {
	return metric.WithAttributes(
		attribute.String(labelNames[0], labelValues[0]),
		attribute.String(labelNames[1], labelValues[1]),
		attribute.String(labelNames[2], labelValues[2]),
	)
}

func otelCounter(counter metric.Int64Counter) benchCase {
	return benchCase{Work: "counter", Who: "go.opentelemetry.io/otel", make: func() loop {
		ctx := context.Background()
		return func(n, steps int, x uint64) uint64 {
			for range n {
				counter.Add(ctx, 1, attributes())
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}

func otelHistogram(histogram metric.Float64Histogram) benchCase {
	return benchCase{Work: "histogram", Who: "go.opentelemetry.io/otel", make: func() loop {
		ctx, values := context.Background(), new(cycle)
		return func(n, steps int, x uint64) uint64 {
			for range n {
				histogram.Record(ctx, values.value(), attributes())
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}
