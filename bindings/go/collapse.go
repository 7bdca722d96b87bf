package tidegate

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// Collapse makes one call of many that ask for the same at the same time, and
// gives its result to all of them (single flight). The zero value is ready; it
// must not be copied once it was used. It may be used by any number of
// goroutines, and holds memory only for calls that are under way.
type Collapse[K comparable, V any] struct {
	// OnAbandonedPanic, when set before the first call, is told of a panic in
	// a call whose callers have all left. Without it such a panic ends the
	// program, as one in any goroutine does.
	OnAbandonedPanic func(key K, panicked *PanicError)

	mu      sync.Mutex
	flights map[K]*flight[V]
}

// flight is one call under way. The Collapse's lock guards waiting and ended.
type flight[V any] struct {
	done     chan struct{} // closed after the fields below were written
	value    V
	err      error
	panicked *PanicError
	exited   bool // by runtime.Goexit

	waiting int
	ended   bool
	cancel  context.CancelFunc
}

// Do gives the result of the call for this key that is under way, or starts
// fn as one. shared says whether other callers have joined the same call, or
// this one joined theirs: the value is then theirs too.
//
// Each caller waits no longer than its own ctx and then gets ctx.Err(). fn
// runs in a goroutine of its own, under a context that has the values of the
// first caller's ctx but none of its deadline and cancellation: it is cancelled
// when every caller has left. Who asks for the key after that starts a new call.
//
// A panic of fn is raised again in every caller that still waits, as a
// [*PanicError]; runtime.Goexit ends every caller's goroutine.
func (c *Collapse[K, V]) Do(ctx context.Context, key K, fn func(context.Context) (V, error)) (value V, shared bool, err error) {
	f, joined := c.join(ctx, key, fn)
	select {
	case <-f.done:
	case <-ctx.Done():
		if c.leave(key, f) {
			return value, joined, ctx.Err()
		}
		<-f.done // the result came at the same moment: a panic must not be lost
	}
	switch {
	case f.panicked != nil:
		panic(f.panicked)
	case f.exited:
		runtime.Goexit()
	}
	return f.value, joined || f.waiting > 1, f.err
}

// join takes a place in the key's flight, and starts it where there is none.
func (c *Collapse[K, V]) join(ctx context.Context, key K, fn func(context.Context) (V, error)) (f *flight[V], joined bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, joined = c.flights[key]; joined {
		f.waiting++
		return f, true
	}
	shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f = &flight[V]{done: make(chan struct{}), waiting: 1, cancel: cancel}
	if c.flights == nil {
		c.flights = make(map[K]*flight[V])
	}
	c.flights[key] = f
	go c.fly(shared, key, f, fn)
	return f, false
}

// leave gives up a caller's place; the last one cancels the call. It is false
// when the call has ended already.
func (c *Collapse[K, V]) leave(key K, f *flight[V]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.ended {
		return false
	}
	if f.waiting--; f.waiting == 0 {
		c.forget(key, f)
		f.cancel()
	}
	return true
}

func (c *Collapse[K, V]) forget(key K, f *flight[V]) {
	if c.flights[key] == f {
		delete(c.flights, key)
	}
}

// fly runs the call; whichever way it ends, its callers are told.
func (c *Collapse[K, V]) fly(ctx context.Context, key K, f *flight[V], fn func(context.Context) (V, error)) {
	returned := false
	defer func() {
		if returned {
			c.land(key, f)
			return
		}
		if cause := recover(); cause != nil {
			f.panicked = &PanicError{Value: cause, Stack: debug.Stack()}
		} else {
			f.exited = true
		}
		if !c.land(key, f) && f.panicked != nil {
			c.abandoned(key, f.panicked)
		}
	}()
	f.value, f.err = fn(ctx)
	returned = true
}

// land hands the result over. It is false when nobody waits for it any more.
func (c *Collapse[K, V]) land(key K, f *flight[V]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(key, f)
	f.ended = true
	f.cancel()
	close(f.done)
	return f.waiting > 0
}

func (c *Collapse[K, V]) abandoned(key K, panicked *PanicError) {
	if c.OnAbandonedPanic == nil {
		panic(panicked)
	}
	c.OnAbandonedPanic(key, panicked)
}

// PanicError is what [Collapse.Do] panics with when the shared call panicked.
type PanicError struct {
	Value any    // what the call panicked with
	Stack []byte // where, as debug.Stack writes it
}

// Error tells the value and the stack of the call.
func (e *PanicError) Error() string { return fmt.Sprintf("%v\n\n%s", e.Value, e.Stack) }

// Unwrap gives the value, where that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
