package tidegate

import (
	"context"
	"errors"
	"time"
)

// Guard is a named protected resource with the pipeline in front of it. What
// the pipeline does, the rules say; a guard without rules counts and lets
// pass. A Guard may be used by any number of goroutines.
type Guard struct {
	handle  uintptr
	runtime uintptr
	rt      *Runtime
	name    string
}

// Guard gives the guard of this name, and makes it where there is none yet.
// The same name gives the same guard. Look a guard up once and keep it; names
// should be few, for each has state of its own in the segment.
//
// A name is 1 to 128 bytes of UTF-8 without control characters; errors match
// [ErrInvalid] for any other, and [ErrClosed].
func (rt *Runtime) Guard(name string) (*Guard, error) {
	if g, ok := rt.guards.load(name); ok {
		return g, nil
	}
	var handle uintptr
	err := rt.attempt("guard", func(h uintptr) (err error) {
		handle, err = libGuardResolve(h, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rt.guards.store(name, &Guard{handle: handle, runtime: rt.handle, rt: rt, name: name}), nil
}

// Name is the guard's name.
func (g *Guard) Name() string { return g.name }

// Retire gives the guard's room in the segment back. Calls through it answer
// [ErrClosed] afterwards, which lets them pass; asking for the name again
// makes a new guard.
func (g *Guard) Retire() error {
	g.rt.guards.drop(g.name)
	return check("retire", libGuardRetire(g.handle))
}

// Do asks the guard and, when it lets the call pass, runs fn and tells the
// guard how it ended, as [Classify] or [WithClassifier] judges it. The context
// that fn gets ends at the earliest of ctx's deadline, [WithTimeLimit] and the
// rules' timeout.
//
// Where rules or a policy ask for a wait, Do waits before it runs fn; when ctx
// ends first, fn is not run and ctx.Err() is returned.
//
// A refusal is a [RefusedError]: fn was not run. When fn panics or ends its
// goroutine, that counts as [Failure] and goes on. All else that Do returns is
// what fn returned.
func (g *Guard) Do(ctx context.Context, fn func(context.Context) error, opts ...CallOption) error {
	_, err := g.try(ctx, fn, opts)
	return err
}

// Enter asks the guard for one call. With a nil error the caller makes the
// call and then exits the permit, once, whatever happens; [Guard.Do] does both.
// [Permit.Context] gives the call its deadline.
//
// The error is a [RefusedError], or ctx.Err() when ctx ended before the call
// could start, or, only under [WithFailClosed], an error of the library.
func (g *Guard) Enter(ctx context.Context, opts ...CallOption) (permit Permit, err error) {
	err = g.enter(ctx, &permit, opts)
	return permit, err
}

// Enter asks the guard of this name, like [Guard.Enter], for wrappers that take
// the name from each call. A guard that cannot be had, such as one whose name
// is too long, is a fault of the library: the call passes and is counted in
// [Runtime.Faults], or is stopped under [WithFailClosed].
func (rt *Runtime) Enter(ctx context.Context, guard string, opts ...CallOption) (permit Permit, err error) {
	err = rt.enter(ctx, guard, &permit, opts)
	return permit, err
}

// enter is Enter without the copy.
func (rt *Runtime) enter(ctx context.Context, guard string, p *Permit, opts []CallOption) error {
	g, err := rt.Guard(guard)
	if err != nil {
		return rt.unguarded(p, err, opts)
	}
	return g.enter(ctx, p, opts)
}

// unguarded lets a call pass whose guard cannot be had.
func (rt *Runtime) unguarded(p *Permit, err error, opts []CallOption) error {
	status := ErrInternal
	errors.As(err, &status)
	rt.fault(status)
	if rt.failsClosed(opts) {
		return err
	}
	p.state = permitPassed
	return nil
}

// enter is Enter without the copy.
func (g *Guard) enter(ctx context.Context, p *Permit, opts []CallOption) error {
	// Done is not asked: its channel would be made for that.
	if err := ctx.Err(); err != nil && errors.Is(err, context.Canceled) {
		return err
	}
	if status := g.admit(ctx, p, timeLeft(ctx), opts); status != statusOK {
		return g.turnedAway(p, status, opts)
	}
	p.state = permitHeld
	if p.entry.wait != 0 {
		return g.wait(ctx, p)
	}
	return nil
}

// timeLeft is what the context leaves for the call; 0 when it has no deadline.
func timeLeft(ctx context.Context) time.Duration {
	deadline, limited := ctx.Deadline()
	if !limited {
		return 0
	}
	return max(time.Until(deadline), 1)
}

// admit makes the call into C; a plain call goes the short way.
func (g *Guard) admit(ctx context.Context, p *Permit, left time.Duration, opts []CallOption) Status {
	p.guard = g
	p.entry.guard, p.entry.runtime = g.handle, g.runtime
	if left == 0 && len(opts) == 0 && g.rt.plain {
		return libEnter(&p.entry)
	}
	return g.admitCall(ctx, &p.entry, left, opts)
}

// admitCall is admit for a call that says something about itself.
func (g *Guard) admitCall(ctx context.Context, e *entry, left time.Duration, opts []CallOption) Status {
	var (
		spec   callSpec
		buffer [256]byte
	)
	if len(g.rt.defaults) > 0 {
		opts = append(append(make([]CallOption, 0, len(g.rt.defaults)+len(opts)), g.rt.defaults...), opts...)
	}
	data := g.rt.collect(&spec, buffer[:0], opts)
	spec.context = uint64(left)
	if g.rt.clock.virtual {
		spec.deadline = g.rt.clock.deadlineOf(ctx)
	}
	return libEnterCall(e, &spec, data)
}

// turnedAway makes the error for a call that did not get a permit; nil when
// the library failed and the call shall pass all the same.
func (g *Guard) turnedAway(p *Permit, status Status, opts []CallOption) error {
	if status.IsRefusal() {
		return &RefusedError{
			Guard: g.name, Status: status, Stage: Stage(p.entry.stage),
			RetryAfter: saturate(p.entry.retry), Reason: p.entry.reason,
		}
	}
	g.rt.fault(status)
	if g.rt.failsClosed(opts) {
		return &Error{Op: "enter " + g.name, Status: status}
	}
	p.state = permitPassed
	return nil
}

// wait sleeps as long as the permit says. A caller that leaves meanwhile gives
// the permit back.
func (g *Guard) wait(ctx context.Context, p *Permit) error {
	if err := g.rt.clock.sleep(ctx, saturate(p.entry.wait)); err != nil {
		_ = p.Exit(Cancelled)
		return err
	}
	return nil
}
