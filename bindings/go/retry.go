package tidegate

import (
	"context"
	"errors"
	"math"
	"runtime"
	"time"
)

// outcomeRefused is, for retries alone, an attempt that the guard refused.
const outcomeRefused Outcome = 64

// Retry is [Guard.Do] with the attempts that the guard's rules allow (rule
// "retry"): each is an entry of its own, and between them Retry waits on the
// runtime's clock. It returns what the last attempt gave. No attempt is begun
// at the deadline of ctx or of [WithTimeLimit], which hold for all of them, or
// after it; when ctx ends during a wait, Retry returns what the attempt before
// gave.
//
// fn is called several times, one after the other. A call that must not be made
// twice says so by [WithOnce]; of such only what the guard itself refused is
// tried again. An error marked by [WithRetryAfter] is not tried again before
// that time.
func (g *Guard) Retry(ctx context.Context, fn func(context.Context) error, opts ...CallOption) error {
	return g.RetryAttempts(ctx, func(opts []CallOption) Attempt {
		outcome, err := g.try(ctx, fn, opts)
		return Attempt{Err: err, Outcome: outcome}
	}, opts...)
}

// Attempt is how one attempt of [Guard.RetryAttempts] ended.
type Attempt struct {
	Err     error
	Outcome Outcome
	// Refused says that the guard turned the attempt away, so that nothing was
	// done. Outcome does not count then.
	Refused bool
	// Final says that there must be no other, whatever the rules allow. A
	// success is the last one in any case.
	Final bool
	// RetryAfter is when the callee said to come back; NeverRetry: not at all;
	// 0: it did not say, or Err does, by WithRetryAfter.
	RetryAfter time.Duration
}

// RetryAttempts is [Guard.Retry] for wrappers that ask the guard themselves, as
// when a permit outlives the call that began with it: attempt makes one attempt
// with an entry of its own, by [Guard.Enter] with the options that it gets (opts,
// and what is left of a time limit), and RetryAttempts decides on the next one
// and waits before it. It returns the last attempt's error. Without the library
// there is one attempt.
func (g *Guard) RetryAttempts(ctx context.Context, attempt func([]CallOption) Attempt, opts ...CallOption) error {
	r, begun := g.beginRetry(ctx, opts)
	for {
		a := attempt(r.limit.of(opts))
		if !begun || !r.again(a.ending()) {
			return a.Err
		}
		if g.rt.clock.sleep(ctx, r.wait()) != nil {
			r.abandon()
			return a.Err
		}
	}
}

// ending is the attempt as the library is told of it.
func (a *Attempt) ending() (outcome Outcome, after time.Duration) {
	outcome, after = a.Outcome, a.RetryAfter
	if a.Refused {
		outcome = outcomeRefused
	}
	switch {
	case a.Final:
		after = NeverRetry
	case after == 0:
		after = retryAfterOf(a.Err)
	}
	return outcome, after
}

// WithRetryAfter marks an error with the time after which its sender said to
// come back, for [Guard.Retry]. A nil error stays nil.
func WithRetryAfter(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, after}
}

type retryAfterError struct {
	err   error
	after time.Duration
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

// retryAfterOf is the mark of an error, or what the stage said that refused.
func retryAfterOf(err error) time.Duration {
	var (
		marked  *retryAfterError
		refused *RefusedError
	)
	switch {
	case errors.As(err, &marked):
		return marked.after
	case errors.As(err, &refused):
		return refused.RetryAfter
	}
	return 0
}

// try is one attempt of Do, and how it ended.
func (g *Guard) try(ctx context.Context, fn func(context.Context) error, opts []CallOption) (outcome Outcome, err error) {
	var p Permit
	if err := g.enter(ctx, &p, opts); err != nil {
		if errors.Is(err, ErrRefused) {
			return outcomeRefused, err
		}
		return Cancelled, err
	}
	outcome = Failure
	defer func() { _ = p.Exit(outcome) }()
	inner := ctx
	if p.shortens() {
		limited, cancel := p.Context(ctx)
		defer cancel()
		inner = limited
	}
	err = fn(inner)
	outcome = g.rt.classifier(opts)(ctx, err)
	return outcome, err
}

// again is what C works on for retries and hedges. Its layout is that of
// tgo_again in cgo_retry.go, which asserts that both have one size.
type again struct {
	guard       uintptr
	runtime     uintptr
	context     uint64 // in: ns that the caller's context has left; 0: no deadline
	timeout     uint64 // in: ns; 0: none
	deadline    uint64 // in: on the runtime's clock; 0: none
	retryAfter  uint64 // in: ns; 0: not said; all ones: never
	wait        uint64 // out: ns
	criticality uint32
	flags       uint32
	status      Status
	outcome     Outcome
	state       [16]uint64 // tg_retry or tg_hedge
}

const flagOnce = 1 // TG_CALL_ONCE

// retrying is one logical call.
type retrying struct {
	call  again
	of    *Guard
	limit commonLimit
}

// commonLimit is none where there is one attempt.
func (r *retrying) commonLimit() commonLimit {
	if r == nil {
		return commonLimit{}
	}
	return r.limit
}

// commonLimit is the time limit that all attempts of a call have together.
type commonLimit struct {
	clock *Clock
	whole time.Duration // 0: there is none
	begun time.Duration
}

func (g *Guard) commonLimit(a *again) commonLimit {
	if a.timeout == 0 {
		return commonLimit{}
	}
	return commonLimit{&g.rt.clock, saturate(a.timeout), g.rt.clock.monotonic()}
}

// of are the options of an attempt that begins now.
func (l commonLimit) of(opts []CallOption) []CallOption {
	if l.whole == 0 {
		return opts
	}
	left := l.whole - (l.clock.monotonic() - l.begun)
	return append(opts[:len(opts):len(opts)], WithTimeLimit(left))
}

// beginRetry is false where the library cannot say: then there is one attempt.
func (g *Guard) beginRetry(ctx context.Context, opts []CallOption) (r *retrying, begun bool) {
	r = &retrying{of: g}
	g.about(&r.call, ctx, opts)
	r.limit = g.commonLimit(&r.call)
	return r, available && g.noted(libRetryBegin(&r.call))
}

// about fills in what holds for all attempts of a call together.
func (g *Guard) about(a *again, ctx context.Context, opts []CallOption) {
	a.guard, a.runtime = g.handle, g.runtime
	a.context = uint64(timeLeft(ctx))
	if g.rt.clock.virtual {
		a.deadline = g.rt.clock.deadlineOf(ctx)
	}
	for _, some := range [2][]CallOption{g.rt.defaults, opts} {
		for i := range some {
			switch some[i].kind {
			case callCriticality:
				a.criticality = uint32(some[i].number)
			case callTimeLimit:
				a.timeout = some[i].number
			case callOnce:
				a.flags |= flagOnce
			}
		}
	}
}

// noted counts a fault of the library.
func (g *Guard) noted(status Status) bool {
	if status != statusOK {
		g.rt.fault(status)
	}
	return status == statusOK
}

// again says whether there is a further attempt, after r.wait().
func (r *retrying) again(outcome Outcome, after time.Duration) bool {
	r.call.outcome, r.call.retryAfter = outcome, nanoseconds(after)
	if after == NeverRetry {
		r.call.retryAfter = math.MaxUint64
	}
	status := libRetryNext(&r.call)
	runtime.KeepAlive(r.of)
	if status != statusOK && !status.isStop() {
		r.of.rt.fault(status)
	}
	return status == statusOK
}

// wait is how long to wait before it.
func (r *retrying) wait() time.Duration { return saturate(r.call.wait) }

// abandon says that the further attempt is not made.
func (r *retrying) abandon() { r.of.noted(libRetryAbandon(&r.call)) }
