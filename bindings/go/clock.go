package tidegate

import (
	"context"
	"time"
)

// Clock is a runtime's clock: the machine's monotonic one, or one that stands
// still until it is moved ([WithVirtualClock]).
type Clock struct {
	rt      *Runtime
	virtual bool
	timers  virtualTimers
}

// Clock gives the runtime's clock.
func (rt *Runtime) Clock() *Clock { return &rt.clock }

// Now is the time since the clock's start, which for the machine's clock is
// not known. It is 0 once the runtime is closed.
func (c *Clock) Now() time.Duration {
	now, _ := c.now()
	return saturate(now)
}

func (c *Clock) now() (ns uint64, status Status) {
	status = c.rt.use(func(handle uintptr) (s Status) {
		ns, s = libClockNow(handle)
		return s
	})
	return ns, status
}

// Advance moves a virtual clock on, and wakes what waited for that time:
// calls that the rules keep waiting, contexts whose deadline is reached. The
// machine's clock answers [ErrUnsupported].
func (c *Clock) Advance(d time.Duration) error {
	return c.move("advance clock", func(handle uintptr) Status {
		return libClockAdvance(handle, nanoseconds(d))
	})
}

// Set puts a virtual clock to a time, which may lie in the past.
func (c *Clock) Set(now time.Duration) error {
	return c.move("set clock", func(handle uintptr) Status {
		return libClockSet(handle, nanoseconds(now))
	})
}

func (c *Clock) move(op string, step func(uintptr) Status) error {
	if err := check(op, c.rt.use(step)); err != nil {
		return err
	}
	c.fireDue()
	return nil
}

// BlockUntilWaiting returns when at least n calls wait for a virtual clock to
// move on, or when ctx ends. A test calls it before [Clock.Advance], to be sure
// that the call in the other goroutine has come to its wait.
func (c *Clock) BlockUntilWaiting(ctx context.Context, n int) error {
	for {
		changed, waiting := c.timers.sleepers()
		if waiting >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sleep waits for d, on whichever clock this is, or until ctx ends.
func (c *Clock) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	woken, stop := c.after(d)
	defer stop()
	select {
	case <-woken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after tells woken once when d has passed on this clock, or when a virtual
// clock is closed. Call stop in the end.
func (c *Clock) after(d time.Duration) (woken <-chan time.Time, stop func()) {
	if c == nil || !c.virtual {
		timer := time.NewTimer(d)
		return timer.C, func() { timer.Stop() }
	}
	done := make(chan time.Time)
	wake := func() { close(done) }
	now, status := c.now()
	if status != statusOK {
		wake()
		return done, func() {}
	}
	timer := &virtualTimer{when: now + nanoseconds(d), sleeper: true, fire: wake}
	c.start(timer)
	return done, func() { c.timers.stop(timer) }
}

// started is what monotonic counts from.
var started = time.Now()

// monotonic is the time that caches and queues of this package count in: that
// of a virtual clock, else the machine's, which Go tells without a call into C
// and without a library. A nil clock is the machine's.
func (c *Clock) monotonic() time.Duration {
	if c == nil || !c.virtual || !available {
		return time.Since(started)
	}
	return c.Now()
}
