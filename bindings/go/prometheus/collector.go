// Package prometheus shows a Tidegate runtime's metrics through client_golang,
// for programs that have a registry of their own already.
//
//	import tgprom "github.com/tidegate/tidegate/bindings/go/prometheus"
//
//	registry.MustRegister(tgprom.NewCollector(rt))
//
// A program without one serves [tidegate.Runtime.MetricsHandler] instead, which
// is much cheaper: a Collector has the library's text parsed and written again.
package prometheus

import (
	"bytes"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tidegate/tidegate/bindings/go"
)

// Collector is a prometheus.Collector of one runtime. It may be used by any
// number of goroutines.
type Collector struct{ rt *tidegate.Runtime }

// NewCollector makes a collector of everything that the runtime counts. It is
// an unchecked collector, since instruments come and go while the program runs.
// A runtime that is closed makes Gather fail; one that passes through has no
// metrics.
func NewCollector(rt *tidegate.Runtime) *Collector { return &Collector{rt} }

// Describe sends nothing, which makes the collector unchecked.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads every metric of the runtime.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	if c.rt.PassThrough() {
		return
	}
	families, err := c.read()
	if err != nil {
		desc := prometheus.NewDesc("tidegate_collector", "Reading the runtime's metrics.", nil, nil)
		out <- prometheus.NewInvalidMetric(desc, err)
		return
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			out <- metric{describe(family, m), m}
		}
	}
}

// read has the library write its metrics, and parses them.
func (c *Collector) read() (map[string]*dto.MetricFamily, error) {
	var text bytes.Buffer
	if _, err := c.rt.WriteMetrics(&text, ""); err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(&text)
}

// metric is a parsed metric with the description that a registry asks for.
type metric struct {
	desc  *prometheus.Desc
	value *dto.Metric
}

func (m metric) Desc() *prometheus.Desc { return m.desc }

func (m metric) Write(out *dto.Metric) error {
	out.Label = m.value.Label
	out.Counter, out.Gauge, out.Untyped = m.value.Counter, m.value.Gauge, m.value.Untyped
	out.Histogram, out.Summary = m.value.Histogram, m.value.Summary
	out.TimestampMs = m.value.TimestampMs
	return nil
}

func describe(family *dto.MetricFamily, m *dto.Metric) *prometheus.Desc {
	names := make([]string, len(m.GetLabel()))
	for i, label := range m.GetLabel() {
		names[i] = label.GetName()
	}
	return prometheus.NewDesc(family.GetName(), family.GetHelp(), names, nil)
}
