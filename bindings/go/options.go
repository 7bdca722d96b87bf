package tidegate

import (
	"fmt"
	"math"
	"time"
)

// Option sets something of a [Runtime] in [Open]. A [CallOption] given to
// Open holds for every call of the runtime.
type Option interface{ applyTo(*config) }

type config struct {
	name         string
	segmentBytes uint64
	maxThreads   uint32
	maxGuards    uint32
	virtual      bool
	virtualStart uint64
	unsampled    bool
	failClosed   bool
	faults       bool
	classify     Classifier
	defaults     []CallOption
	err          error
}

type optionFunc func(*config)

func (f optionFunc) applyTo(c *config) { f(c) }

// WithName shares the segment with every other runtime of this name in the
// process, whose other options then count. A name is at most 128 of A-Z, a-z,
// 0-9, '.', '_' and '-'. Without one the segment is private.
func WithName(name string) Option {
	return optionFunc(func(c *config) { c.name = name })
}

// WithSegmentBytes sets the size of the segment, from 1 MiB to 64 GiB; 64 MiB
// without it. Memory is taken as it is used.
func WithSegmentBytes(bytes uint64) Option {
	return optionFunc(func(c *config) { c.segmentBytes = bytes })
}

// WithMaxThreads sets how many threads have a slot of their own, from 1 to
// 1024; 128 without it. Threads beyond that share one, which costs speed only.
func WithMaxThreads(n int) Option {
	return optionFunc(func(c *config) { c.maxThreads = c.count("threads", n) })
}

// WithMaxGuards sets how many guards there may be, from 1 to 65536; 4096
// without it. Names beyond that share the guard "tidegate.overflow".
func WithMaxGuards(n int) Option {
	return optionFunc(func(c *config) { c.maxGuards = c.count("guards", n) })
}

// WithFaults lets rules inject faults into this process's calls (rule
// "faults"): delays, and refusals by [StageFault]. Without it they do nothing.
func WithFaults() Option {
	return optionFunc(func(c *config) { c.faults = true })
}

// WithVirtualClock gives the runtime a clock that stands at start and moves
// only when [Clock.Advance] or [Clock.Set] moves it: for tests that take no
// real time. Waits and deadlines that rules ask for follow this clock too.
func WithVirtualClock(start time.Duration) Option {
	return optionFunc(func(c *config) {
		c.virtual = true
		c.virtualStart = nanoseconds(start)
	})
}

// count checks a number that the library keeps in 32 bits and reads 0 as "the
// default".
func (c *config) count(what string, n int) uint32 {
	if n < 1 || n > math.MaxUint32 {
		c.err = &Error{Op: "open", Status: ErrInvalid, Message: fmt.Sprintf("number of %s is %d", what, n)}
		return 0
	}
	return uint32(n)
}

func newConfig(opts []Option) (*config, error) {
	c := &config{classify: Classify}
	for _, o := range opts {
		o.applyTo(c)
	}
	return c, c.err
}
