package tidegate

import (
	"context"
	"errors"
	"sync"
	"time"
)

// QueueOptions say how callers wait in a [Queue]. The zero value is right for
// most.
type QueueOptions struct {
	// Interval is the longest wait while the queue empties now and then, and
	// how long it may stand before it counts as overloaded; 100 ms when 0.
	Interval time.Duration
	// Target is the longest wait under overload; 5 ms when 0.
	Target time.Duration
	// Most is how many callers may wait at once; 1024 when 0.
	Most int
	// Poll is how often the queue looks for places that were not given back
	// through it: by other processes, by callers who use the guard itself, or
	// by rules that raised the limit. 10 ms when 0.
	Poll time.Duration
}

// Queue lets callers wait for a guard's concurrency limit instead of being
// refused by it at once. A short burst then passes late; a lasting overload is
// still refused, after a short wait: as long as the queue empties now and then,
// the longest wait is [QueueOptions].Interval and the oldest caller is next;
// once it has stood for longer, the longest wait is Target and the newest
// caller is next (controlled delay and adaptive LIFO: Nichols and Jacobson,
// "Controlling Queue Delay", 2012; Maurer, "Fail at Scale", 2015). A full queue
// refuses newcomers, or sheds its oldest caller for them when it stands.
//
// Refusals by any other stage are not waited for. What waits holds nothing of
// the guard: no permit, no token. Latency is counted from the moment that the
// guard lets the call in. Each time that a waiting caller asks the guard in
// vain counts as a refusal in the guard's metrics.
//
// Use one Queue for a guard in a process, by any number of goroutines. While
// callers wait it has a goroutine of its own.
type Queue struct {
	guard *Guard
	clock *Clock
	poll  time.Duration

	mu      sync.Mutex
	line    waitline
	freed   uint64 // places given back so far
	polling context.CancelFunc
}

// NewQueue makes the queue in front of a guard.
func NewQueue(g *Guard, options QueueOptions) *Queue {
	return &Queue{
		guard: g,
		clock: &g.rt.clock,
		poll:  orElse(options.Poll, 10*time.Millisecond),
		line: waitline{
			target:   orElse(options.Target, 5*time.Millisecond),
			interval: orElse(options.Interval, 100*time.Millisecond),
			most:     orElse(options.Most, 1024),
		},
	}
}

func orElse[N time.Duration | int](n, otherwise N) N {
	if n <= 0 {
		return otherwise
	}
	return n
}

// QueuePermit is a [Permit] whose exit lets the next caller of its queue in.
// What is said of Permit holds for it too.
type QueuePermit struct {
	Permit
	queue *Queue
}

// Exit is [Permit.Exit], and makes it the next caller's turn.
func (p *QueuePermit) Exit(outcome Outcome) error {
	err := p.Permit.Exit(outcome)
	if p.queue != nil {
		p.queue.placeFreed()
	}
	return err
}

// Waiting is how many callers wait.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.line.len()
}

// Do is [Guard.Do] through the queue.
func (q *Queue) Do(ctx context.Context, fn func(context.Context) error, opts ...CallOption) error {
	var p QueuePermit
	if err := q.enter(ctx, &p, opts); err != nil {
		return err
	}
	outcome := Failure
	defer func() { _ = p.Exit(outcome) }()
	inner, cancel := p.Context(ctx)
	defer cancel()
	err := fn(inner)
	outcome = q.guard.rt.classifier(opts)(ctx, err)
	return err
}

// Enter is [Guard.Enter] through the queue. A caller who has waited as long as
// it may, or is shed, gets a [RefusedError] of the concurrency stage; one whose
// ctx ends gets ctx.Err().
func (q *Queue) Enter(ctx context.Context, opts ...CallOption) (permit QueuePermit, err error) {
	err = q.enter(ctx, &permit, opts)
	return permit, err
}

// TryEnter is Enter for a caller who does not wait: it is refused at once, also
// where others wait, and its exit makes it the next one's turn. So what matters
// less makes way for what may wait.
func (q *Queue) TryEnter(ctx context.Context, opts ...CallOption) (permit QueuePermit, err error) {
	if _, wait := q.look(); wait {
		return permit, q.refusal()
	}
	err = q.try(ctx, &permit, opts)
	return permit, err
}

func (q *Queue) enter(ctx context.Context, p *QueuePermit, opts []CallOption) error {
	freed, wait := q.look()
	if !wait { // else others have been here before
		if err := q.try(ctx, p, opts); !errors.Is(err, ErrRefusedConcurrency) {
			return err
		}
	}
	w, ok := q.join(freed)
	if !ok {
		return q.refusal()
	}
	return q.wait(ctx, w, p, opts)
}

func (q *Queue) look() (freed uint64, wait bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.freed, q.line.len() > 0
}

func (q *Queue) try(ctx context.Context, p *QueuePermit, opts []CallOption) error {
	err := q.guard.enter(ctx, &p.Permit, opts)
	switch {
	case err == nil:
		p.queue = q
	case p.state == permitHeld: // held while a wait of the rules was broken off
		q.placeFreed()
	}
	return err
}

func (q *Queue) refusal() error {
	return &RefusedError{Guard: q.guard.name, Status: ErrRefusedConcurrency, Stage: StageConcurrency}
}

// join puts the caller into the line. A place that was freed since the guard
// refused makes it somebody's turn at once: that exit found nobody to wake.
func (q *Queue) join(freed uint64) (w *waiter, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w = &waiter{turn: make(chan bool, 1)}
	shed, ok := q.line.join(w, q.clock.monotonic())
	if shed != nil {
		shed.turn <- false
	}
	if !ok {
		return nil, false
	}
	if q.polling == nil {
		ctx, cancel := context.WithCancel(context.Background())
		q.polling = cancel
		go q.pollUntilEmpty(ctx)
	}
	if q.freed != freed {
		q.wakeNext(false)
	}
	return w, true
}

// wait stays in the line until the caller is let in, turned away or gone.
func (q *Queue) wait(ctx context.Context, w *waiter, p *QueuePermit, opts []CallOption) error {
	defer q.leave(w)
	timeUp, stop := q.clock.after(w.until - q.clock.monotonic())
	defer stop()
	for {
		select {
		case mine := <-w.turn:
			if !mine {
				return q.refusal()
			}
		case <-timeUp:
			return q.refusal()
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := q.takeTurn(ctx, w, p, opts); !errors.Is(err, ErrRefusedConcurrency) {
			return err
		}
	}
}

// takeTurn asks the guard for a caller whose turn it is, again for as long as
// places were freed meanwhile.
func (q *Queue) takeTurn(ctx context.Context, w *waiter, p *QueuePermit, opts []CallOption) error {
	for {
		freed, _ := q.look()
		err := q.try(ctx, p, opts)
		w.admitted = err == nil
		if !errors.Is(err, ErrRefusedConcurrency) || q.rest(w, freed) {
			return err
		}
	}
}

// rest ends a turn that was in vain, unless a place was freed since.
func (q *Queue) rest(w *waiter, freed uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.freed != freed {
		return false
	}
	w.trying, w.polled = false, false
	return true
}

// leave takes the caller out of the line. A turn that it did not use is the
// next one's, and so is the rest of what a poll may have found.
func (q *Queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.line.leave(w)
	if w.trying && (w.polled || !w.admitted) {
		q.wakeNext(w.polled)
	}
	q.restIfEmpty()
}

func (q *Queue) restIfEmpty() {
	if q.line.len() == 0 && q.polling != nil {
		q.polling()
		q.polling = nil
	}
}

// placeFreed makes it the next caller's turn.
func (q *Queue) placeFreed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.freed++
	q.wakeNext(false)
}

// wakeNext is called with the lock held.
func (q *Queue) wakeNext(polled bool) {
	if w := q.line.next(q.clock.monotonic()); w != nil {
		w.polled = polled
		w.turn <- true
	}
}

// pollUntilEmpty looks for places that were freed by others.
func (q *Queue) pollUntilEmpty(ctx context.Context) {
	for q.clock.sleep(ctx, q.poll) == nil {
		q.mu.Lock()
		q.wakeNext(true)
		q.mu.Unlock()
	}
}
