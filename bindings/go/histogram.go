package tidegate

import "time"

// Histogram is one series of a histogram: how values are spread, in buckets
// that grow exponentially. It may be used by any number of goroutines.
type Histogram struct{ series }

// Histogram gives the series of this instrument and these labels, as
// [Runtime.Counter] does.
func (rt *Runtime) Histogram(desc Instrument, labels ...Label) (*Histogram, error) {
	key := seriesKey(desc.Name, labels)
	if h, ok := rt.histograms.load(key); ok {
		return h, nil
	}
	s, err := rt.resolve(histogramKind, desc, labels, key)
	if err != nil {
		return nil, err
	}
	return rt.histograms.store(key, &Histogram{s}), nil
}

// Record counts one value, which must not be negative or NaN. What could not
// be recorded is counted in [Runtime.Faults].
func (h *Histogram) Record(value float64) { h.record(libHistogramRecord(h.handle, value)) }

// RecordAll counts many values with one call into C.
func (h *Histogram) RecordAll(values []float64) {
	h.record(libHistogramRecordAll(h.handle, values))
}

// RecordSince counts the seconds since start.
func (h *Histogram) RecordSince(start time.Time) { h.Record(time.Since(start).Seconds()) }

// Quantile is the value below which a share q (0 to 1) of the values lie, to
// within the library's stated error.
func (h *Histogram) Quantile(q float64) (float64, error) {
	value, status := libHistogramQuantile(h.handle, q)
	return value, check("quantile", status)
}

// Retire gives the series' room in the segment back.
func (h *Histogram) Retire() error {
	h.rt.histograms.drop(h.key)
	return check("retire", libInstrumentRetire(histogramKind, h.handle))
}
