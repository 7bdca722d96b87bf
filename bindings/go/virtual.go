package tidegate

import (
	"context"
	"slices"
	"sync"
)

// virtualTimers are what waits for a virtual clock to reach a time.
type virtualTimers struct {
	mu      sync.Mutex
	pending []*virtualTimer
	changed chan struct{} // closed when a timer is added
}

type virtualTimer struct {
	when    uint64
	sleeper bool // a call that waits, not a deadline
	fire    func()
}

// start adds a timer. It fires at once when its time has come meanwhile.
func (c *Clock) start(timer *virtualTimer) {
	c.timers.add(timer)
	c.fireDue()
}

func (c *Clock) fireDue() {
	now, status := c.now()
	if status != statusOK {
		c.wakeAll()
		return
	}
	c.timers.fire(func(timer *virtualTimer) bool { return timer.when <= now })
}

// wakeAll ends every wait for the clock of a closed runtime.
func (c *Clock) wakeAll() {
	c.timers.fire(func(timer *virtualTimer) bool { return timer.sleeper })
}

func (t *virtualTimers) add(timer *virtualTimer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, timer)
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

func (t *virtualTimers) stop(timer *virtualTimer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = slices.DeleteFunc(t.pending, func(other *virtualTimer) bool { return other == timer })
}

// fire runs what is due, outside the lock.
func (t *virtualTimers) fire(isDue func(*virtualTimer) bool) {
	t.mu.Lock()
	var due []*virtualTimer
	for _, timer := range t.pending {
		if isDue(timer) {
			due = append(due, timer)
		}
	}
	t.pending = slices.DeleteFunc(t.pending, isDue)
	t.mu.Unlock()
	for _, timer := range due {
		timer.fire()
	}
}

// sleepers counts waiting calls; the channel is closed at the next change.
func (t *virtualTimers) sleepers() (changed <-chan struct{}, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	for _, timer := range t.pending {
		if timer.sleeper {
			n++
		}
	}
	return t.changed, n
}

// virtualContext ends when a virtual clock reaches its deadline. Deadline()
// stays its parent's: a time of the wall clock would mean nothing here.
type virtualContext struct {
	context.Context
	clock    *Clock
	deadline uint64
	done     chan struct{}
	once     sync.Once
	mu       sync.Mutex
	err      error
}

type virtualDeadlineKey struct{ clock *Clock }

// deadlineOf is the earliest deadline on this clock around ctx; 0: none.
func (c *Clock) deadlineOf(ctx context.Context) uint64 {
	deadline, _ := ctx.Value(virtualDeadlineKey{c}).(uint64)
	return deadline
}

// withDeadline is context.WithDeadline on a virtual clock.
func (c *Clock) withDeadline(parent context.Context, deadline uint64) (context.Context, context.CancelFunc) {
	ctx := &virtualContext{Context: parent, clock: c, deadline: deadline, done: make(chan struct{})}
	timer := &virtualTimer{when: deadline, fire: func() { ctx.end(context.DeadlineExceeded) }}
	unlink := context.AfterFunc(parent, func() { ctx.end(parent.Err()) })
	c.start(timer)
	return ctx, func() {
		unlink()
		c.timers.stop(timer)
		ctx.end(context.Canceled)
	}
}

func (ctx *virtualContext) end(err error) {
	ctx.once.Do(func() {
		ctx.mu.Lock()
		ctx.err = err
		ctx.mu.Unlock()
		close(ctx.done)
	})
}

func (ctx *virtualContext) Done() <-chan struct{} { return ctx.done }

func (ctx *virtualContext) Err() error {
	ctx.mu.Lock()
	defer ctx.mu.Unlock()
	return ctx.err
}

func (ctx *virtualContext) Value(key any) any {
	if key == (virtualDeadlineKey{ctx.clock}) {
		return ctx.deadline
	}
	return ctx.Context.Value(key)
}
