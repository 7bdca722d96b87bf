package tidegate

import "time"

// samplingPeriod is how often the load is sampled while rules want it.
const samplingPeriod = 250 * time.Millisecond

// WithoutSystemSampling keeps the runtime from sampling the container's CPU and
// memory by itself. Without it a goroutine does so every 250 ms while rules in
// force have a "system" stage, except on a virtual clock. One process of those
// on a segment suffices; where nobody samples, the stage lets pass.
func WithoutSystemSampling() Option {
	return optionFunc(func(c *config) { c.unsampled = true })
}

// SampleSystem reads CPU and memory of the container (of the machine, where
// there is none), and tells every guard of every process on the segment, for
// 10 s. The CPU is known from a process's second call on. It is for runtimes
// opened with [WithoutSystemSampling]; the others do it by themselves.
func (rt *Runtime) SampleSystem() error {
	return rt.attempt("sample system", libSystemSample)
}

// SetSystemLoad says in its place what the load is, each a share of 0 (not
// known) to 1: for programs that measure it themselves, and for tests.
func (rt *Runtime) SetSystemLoad(cpu, memory float64) error {
	return check("set system load", rt.use(func(handle uintptr) Status {
		return libSystemSet(handle, cpu, memory)
	}))
}

// sampleWhileWanted starts the goroutine that samples, if rules in force want
// it and none runs. It holds on to what closes the runtime, not to the runtime.
func (c *closing) sampleWhileWanted() {
	if c.unsampled || !c.systemWanted() || !c.sampling.CompareAndSwap(false, true) {
		return
	}
	go c.sample()
}

// sample samples until no rules want it, or the runtime is closed.
func (c *closing) sample() {
	ticker := time.NewTicker(samplingPeriod)
	defer ticker.Stop()
	for c.systemWanted() {
		// Where there is nothing to read there is nothing to protect by.
		_ = c.use(func(handle uintptr) Status {
			_ = libSystemSample(handle)
			return statusOK
		})
		select {
		case <-ticker.C:
		case <-c.ended:
		}
	}
	c.sampling.Store(false)
	// Rules that came in between found it running.
	c.sampleWhileWanted()
}

func (c *closing) systemWanted() (wanted bool) {
	_ = c.use(func(handle uintptr) (s Status) {
		wanted, s = libSystemWanted(handle)
		return s
	})
	return wanted
}
