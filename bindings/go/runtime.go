package tidegate

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Runtime is one opened Tidegate: a segment with all live state, a clock, the
// rules in force and the policies. Its methods may be called from any number
// of goroutines at once.
type Runtime struct {
	handle  uintptr
	closing *closing
	clock   Clock

	plain      bool // a call without options has nothing to say to C
	failClosed bool
	classify   Classifier
	defaults   []CallOption

	guards     cache[*Guard]
	attributes cache[attributeID]
	counters   cache[*Counter]
	gauges     cache[*Gauge]
	histograms cache[*Histogram]
	faults     [faultKinds]atomic.Uint64
}

// closing lets cold calls and Close exclude each other, and lets the cleanup
// close a runtime that was dropped, without keeping it alive.
type closing struct {
	sync.RWMutex
	handle    uintptr
	closed    bool
	ended     chan struct{}
	sampling  atomic.Bool // a goroutine samples the load
	unsampled bool        // none shall
}

// Open makes a runtime, or attaches to the one that [WithName] names. Errors
// match [ErrInvalid] for options out of range, [ErrSystem] or [ErrFull] where
// memory is not to be had, [ErrUnsupported] where the library is too old.
//
// Where [Available] is false, Open gives a runtime that lets every call pass:
// see [Runtime.PassThrough].
func Open(opts ...Option) (*Runtime, error) {
	config, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	handle, err := libOpen(config)
	if err != nil {
		return nil, err
	}
	rt := &Runtime{
		handle: handle, closing: &closing{handle: handle, ended: make(chan struct{}), unsampled: config.unsampled || config.virtual},
		failClosed: config.failClosed, classify: config.classify, defaults: config.defaults,
	}
	rt.clock.rt, rt.clock.virtual = rt, config.virtual
	rt.plain = len(config.defaults) == 0 && !config.virtual
	runtime.AddCleanup(rt, func(c *closing) { c.close() }, rt.closing)
	rt.closing.sampleWhileWanted() // for a segment that has rules already
	return rt, nil
}

// Close ends the runtime. Guards and instruments of it stay safe to use: they
// answer [ErrClosed] from then on, which lets calls pass. Closing twice, or a
// nil runtime, is harmless. Permits held over a Close need not be exited.
func (rt *Runtime) Close() error {
	if rt == nil {
		return nil
	}
	err := check("close", rt.closing.close())
	rt.clock.wakeAll()
	return err
}

func (c *closing) close() Status {
	c.Lock()
	defer c.Unlock()
	if c.closed {
		return statusOK
	}
	c.closed = true
	close(c.ended)
	return libClose(c.handle)
}

// use runs a cold call on the handle; never during or after Close.
func (rt *Runtime) use(call func(handle uintptr) Status) Status {
	return rt.closing.use(call)
}

func (c *closing) use(call func(handle uintptr) Status) Status {
	c.RLock()
	defer c.RUnlock()
	if c.closed {
		return ErrClosed
	}
	return call(c.handle)
}

// attempt is use for calls that say more than a status.
func (rt *Runtime) attempt(op string, call func(handle uintptr) error) error {
	rt.closing.RLock()
	defer rt.closing.RUnlock()
	if rt.closing.closed {
		return check(op, ErrClosed)
	}
	return call(rt.handle)
}

// PassThrough says that this runtime lets every call pass and counts nothing,
// because the library is not part of this build.
func (rt *Runtime) PassThrough() bool { return !available }

// Available says whether this build has the library in it.
func Available() bool { return available }

// Version is the library's version, such as "0.1.0"; empty without a library.
func Version() string { return libVersion() }

// HasPolicies says whether the library was built with the WASM host. Without
// it, loading a policy returns [ErrUnsupported].
func HasPolicies() bool { return libFeatures()&featureWASM != 0 }

const featureWASM = 1

const (
	firstFault = 100
	faultKinds = 16
)

// fault counts a library error that made a call pass unguarded, or a record
// get lost.
func (rt *Runtime) fault(status Status) {
	kind := min(max(int(status)-firstFault, 0), faultKinds-1)
	rt.faults[kind].Add(1)
}

// Faults tells how often, and why, the library could not answer: calls that
// passed unguarded or were stopped by [WithFailClosed], and records that were
// lost. It is empty while all is well.
func (rt *Runtime) Faults() map[Status]uint64 {
	faults := map[Status]uint64{}
	for kind := range rt.faults {
		if n := rt.faults[kind].Load(); n > 0 {
			faults[Status(firstFault+kind)] = n
		}
	}
	return faults
}
