package tidegate

// Gauge is one series of a gauge: a number that goes up and down. It may be
// used by any number of goroutines.
type Gauge struct{ series }

// Gauge gives the series of this instrument and these labels, as
// [Runtime.Counter] does.
func (rt *Runtime) Gauge(desc Instrument, labels ...Label) (*Gauge, error) {
	key := seriesKey(desc.Name, labels)
	if g, ok := rt.gauges.load(key); ok {
		return g, nil
	}
	s, err := rt.resolve(gaugeKind, desc, labels, key)
	if err != nil {
		return nil, err
	}
	return rt.gauges.store(key, &Gauge{s}), nil
}

// Set sets the value. What could not be set is counted in [Runtime.Faults].
func (g *Gauge) Set(value float64) { g.record(libGaugeSet(g.handle, value)) }

// Add adds delta, which may be negative.
func (g *Gauge) Add(delta float64) { g.record(libGaugeAdd(g.handle, delta)) }

// Value is the value at the moment.
func (g *Gauge) Value() (float64, error) {
	value, status := libGaugeValue(g.handle)
	return value, check("gauge value", status)
}

// Retire gives the series' room in the segment back.
func (g *Gauge) Retire() error {
	g.rt.gauges.drop(g.key)
	return check("retire", libInstrumentRetire(gaugeKind, g.handle))
}
