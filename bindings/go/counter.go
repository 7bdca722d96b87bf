package tidegate

// Counter is one series of a counter: a number that only grows. It may be used
// by any number of goroutines.
type Counter struct{ series }

// Counter gives the series of this instrument and these labels, and makes it
// where there is none yet. Look it up once and keep it: an Add is one call into
// C, a look-up must put the labels in order first.
//
// Errors match [ErrInvalid] for a name that is not one, or that stands for
// another kind of instrument.
func (rt *Runtime) Counter(desc Instrument, labels ...Label) (*Counter, error) {
	key := seriesKey(desc.Name, labels)
	if c, ok := rt.counters.load(key); ok {
		return c, nil
	}
	s, err := rt.resolve(counterKind, desc, labels, key)
	if err != nil {
		return nil, err
	}
	return rt.counters.store(key, &Counter{s}), nil
}

// Inc adds 1.
func (c *Counter) Inc() { c.Add(1) }

// Add adds n. It allocates nothing and never fails the caller; what could not
// be counted is in [Runtime.Faults].
func (c *Counter) Add(n uint64) { c.record(libCounterAdd(c.handle, n)) }

// Value is the sum so far.
func (c *Counter) Value() (uint64, error) {
	value, status := libCounterValue(c.handle)
	return value, check("counter value", status)
}

// Retire gives the series' room in the segment back. It is not exported any
// more, and what is added to it is lost.
func (c *Counter) Retire() error {
	c.rt.counters.drop(c.key)
	return check("retire", libInstrumentRetire(counterKind, c.handle))
}
