package tidegate

import (
	"context"
	"runtime"
	"time"
)

// Hedge is [Guard.Do] that sends another attempt when the first one takes long
// (rule "hedge"), and returns the first success, or the last failure when no
// attempt is left out. The other attempts' contexts are cancelled then. They
// are not waited for, so fn must be ready to run several times at once, also
// after Hedge has returned: results that are more than an error come by the
// function [Hedge].
func (g *Guard) Hedge(ctx context.Context, fn func(context.Context) error, opts ...CallOption) error {
	_, err := Hedge(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, opts...)
	return err
}

// Hedge is [Guard.Hedge] of a call with a result: the one of the attempt that
// counts. A panic of an attempt goes on in the caller, unless Hedge has
// returned by then.
func Hedge[T any](ctx context.Context, g *Guard, fn func(context.Context) (T, error), opts ...CallOption) (T, error) {
	h := &hedged[T]{guard: g, fn: fn, opts: opts, answers: make(chan *answer[T], mostAttempts)}
	g.about(&h.call, ctx, opts)
	h.limit = g.commonLimit(&h.call)
	hedging := available && g.noted(libHedgeBegin(&h.call))
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	h.send(inner, &h.first)
	last := h.wait(inner, hedging)
	if hedging {
		h.call.outcome = min(last.outcome, Ignored)
		g.noted(libHedgeEnd(&h.call))
	}
	switch {
	case last.panicked != nil:
		panic(last.panicked)
	case last.exited:
		runtime.Goexit()
	}
	return last.value, last.err
}

// mostAttempts is more than the rules allow, so that no answer blocks.
const mostAttempts = 16

type hedged[T any] struct {
	call    again
	guard   *Guard
	fn      func(context.Context) (T, error)
	opts    []CallOption
	limit   commonLimit
	answers chan *answer[T]
	first   answer[T] // so that one attempt needs no memory of its own
	out     int       // attempts that have not answered
}

type answer[T any] struct {
	value    T
	err      error
	outcome  Outcome
	panicked any
	exited   bool
}

// send starts an attempt, whose answer will be a.
func (h *hedged[T]) send(ctx context.Context, a *answer[T]) {
	h.out++
	go func() {
		a.outcome, a.exited = Failure, true
		defer func() {
			if a.exited {
				a.panicked = recover()
			}
			h.answers <- a
		}()
		a.outcome, a.err = h.guard.try(ctx, func(ctx context.Context) (err error) {
			a.value, err = h.fn(ctx)
			return err
		}, h.limit.of(h.opts))
		a.exited = false
	}()
}

// wait gives the answer that counts, and sends hedges when they are due.
func (h *hedged[T]) wait(ctx context.Context, hedging bool) *answer[T] {
	for {
		due, stop := h.due(ctx, &hedging)
		select {
		case a := <-h.answers:
			stop()
			h.out--
			if a.err == nil || a.exited || h.out == 0 {
				return a
			}
		case <-due:
			stop()
		}
	}
}

// due sends a hedge where one is due, and tells when the next one is; nil:
// there is none.
func (h *hedged[T]) due(ctx context.Context, hedging *bool) (woken <-chan time.Time, stop func()) {
	for *hedging && h.out < mostAttempts && ctx.Err() == nil {
		status := libHedgeNext(&h.call)
		if status == statusOK && h.call.wait > 0 {
			return h.guard.rt.clock.after(time.Duration(min(h.call.wait, 1<<62)))
		}
		if *hedging = status == statusOK; *hedging {
			h.send(ctx, new(answer[T]))
		} else if !status.isStop() {
			h.guard.rt.fault(status)
		}
	}
	return nil, func() {}
}
