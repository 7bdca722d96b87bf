// Package breaker has the API of github.com/sony/gobreaker/v2: change the
// import path, and the name of the package where it is used.
//
// It decides by compare-and-swap where gobreaker locks a mutex, so goroutines
// that call one breaker at once do not wait for each other. It needs neither
// cgo nor libtidegate: its mathematics are written in Go too
// (internal/counted), on the same words as the library's, and both answer to the
// same vectors. With the library a breaker may live in a runtime's segment, for
// all processes on it: [NewShared].
//
// What differs from gobreaker:
//
//   - ReadyToTrip, OnStateChange, IsSuccessful and IsExcluded are called without a
//     lock held: they may use the breaker, and several goroutines may be in
//     them at once. A verdict is applied only if the breaker is still in the
//     generation whose counts it was made on.
//   - A call that ends by runtime.Goexit failed. (gobreaker never hears of it,
//     and its half-open state would wait for it for ever.)
//   - Calls in a row that are older than all buckets of a window are told as no
//     more than the buckets hold, and Counts leaves out buckets that are over
//     by now. A window has at most 10 000 buckets; more are merged.
//   - Times are rounded up to 33 µs. Times over 26 days count as that.
package breaker

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

// State is where a breaker stands.
type State int

// The states.
const (
	StateClosed State = iota
	StateHalfOpen
	StateOpen
)

var (
	// ErrTooManyRequests refuses a call while the breaker is half-open and as
	// many as may pass are out.
	ErrTooManyRequests = errors.New("too many requests")
	// ErrOpenState refuses a call while the breaker is open.
	ErrOpenState = errors.New("circuit breaker is open")
)

// String is the state in words.
func (s State) String() string {
	switch s {
	case StateClosed:
		return "closed"
	case StateHalfOpen:
		return "half-open"
	case StateOpen:
		return "open"
	default:
		return fmt.Sprintf("unknown state: %d", int(s))
	}
}

// Counts are the calls since the last change of state, or since the last
// interval began, or in the buckets that are left.
type Counts struct {
	Requests             uint32
	TotalSuccesses       uint32
	TotalFailures        uint32
	TotalExclusions      uint32
	ConsecutiveSuccesses uint32
	ConsecutiveFailures  uint32
}

// Settings are what a breaker goes by. All of them may stay as they are.
type Settings struct {
	// Name is told to OnStateChange.
	Name string
	// MaxRequests pass while it is half-open; once so many have gone well in a
	// row, it closes. 0: one.
	MaxRequests uint32
	// Interval after which a closed breaker forgets what it counted. 0 and
	// below: never.
	Interval time.Duration
	// BucketPeriod makes it forget bucket by bucket; Interval is rounded up to
	// whole ones. 0 and below: all at once.
	BucketPeriod time.Duration
	// Timeout is how long it is open. 0 and below: a minute.
	Timeout time.Duration
	// ReadyToTrip says of the counts after a failed call of a closed breaker
	// whether it opens. nil: at more than five failures in a row.
	ReadyToTrip func(counts Counts) bool
	// OnStateChange hears of each change of state that a call here makes.
	OnStateChange func(name string, from State, to State)
	// IsSuccessful says whether a call went well that returned this error. nil:
	// if it is none.
	IsSuccessful func(err error) bool
	// IsExcluded says whether a call says nothing that returned this error. nil:
	// every one counts.
	IsExcluded func(err error) bool
}

// CircuitBreaker refuses calls that are likely to fail. Any number of
// goroutines may use it.
type CircuitBreaker[T any] struct {
	of       core
	settings Settings
}

// core is what does not depend on the type of a call's result.
type core struct {
	counted.Breaker
	settings *Settings
}

// NewCircuitBreaker is a closed breaker of this process's own.
func NewCircuitBreaker[T any](st Settings) *CircuitBreaker[T] {
	rule := ruleOf(st)
	return newBreaker[T](st, counted.New(rule, make([]atomic.Uint64, rule.Words()), sinceStart))
}

func newBreaker[T any](st Settings, words counted.Breaker) *CircuitBreaker[T] {
	cb := &CircuitBreaker[T]{settings: st}
	if st.ReadyToTrip == nil {
		cb.settings.ReadyToTrip = func(counts Counts) bool { return counts.ConsecutiveFailures > 5 }
	}
	cb.of = core{words, &cb.settings}
	return cb
}

var start = time.Now()

// sinceStart is a time of the monotonic clock that is never 0.
func sinceStart() uint64 { return uint64(time.Since(start)) + 1 }

func ruleOf(st Settings) counted.Rule {
	ns := func(d time.Duration) uint64 { return uint64(max(d, 0)) }
	period := ns(st.BucketPeriod)
	if least := (ns(st.Interval) + counted.MaxBuckets - 1) / counted.MaxBuckets; period != 0 {
		period = max(period, least)
	}
	return counted.NewRule(st.MaxRequests, ns(st.Interval), period, ns(st.Timeout))
}

// Name is that of its settings.
func (cb *CircuitBreaker[T]) Name() string { return cb.settings.Name }

// State is where it stands now.
func (cb *CircuitBreaker[T]) State() State {
	state, moved := cb.of.State()
	cb.of.tell(moved)
	return public(state)
}

// Counts are what it has counted.
func (cb *CircuitBreaker[T]) Counts() Counts {
	snapshot, _ := cb.of.Snapshot(false)
	return Counts(snapshot.Counts)
}

// Execute calls req and hands on what it returns, or answers [ErrOpenState] or
// [ErrTooManyRequests] at once. A call that panics failed; the panic goes on.
func (cb *CircuitBreaker[T]) Execute(req func() (T, error)) (T, error) {
	ticket, err := cb.of.ask()
	if err != nil {
		var none T
		return none, err
	}
	returned := false
	defer func() {
		if !returned {
			cb.of.endAbruptly(ticket, recover())
		}
	}()
	result, err := req()
	returned = true
	cb.of.end(ticket, err)
	return result, err
}

func (c *core) ask() (counted.Ticket, error) {
	ticket, answer, moved := c.Ask()
	c.tell(moved)
	switch answer {
	case counted.IsOpen:
		return ticket, ErrOpenState
	case counted.TooMany:
		return ticket, ErrTooManyRequests
	}
	return ticket, nil
}

func (c *core) end(ticket counted.Ticket, err error) {
	snapshot, failed, moved := c.End(ticket, err, c.judge)
	c.tell(moved)
	if failed && c.settings.ReadyToTrip(Counts(snapshot.Counts)) {
		c.tell(c.Trip(snapshot.Generation))
	}
}

func (c *core) judge(err error) counted.Ending {
	switch st := c.settings; {
	case st.IsExcluded != nil && st.IsExcluded(err):
		return counted.Excluded
	case st.IsSuccessful != nil && st.IsSuccessful(err), st.IsSuccessful == nil && err == nil:
		return counted.Success
	}
	return counted.Failure
}

var errGoexit = errors.New("breaker: the call ended by runtime.Goexit")

// endAbruptly ends a call that did not return; its panic goes on.
func (c *core) endAbruptly(ticket counted.Ticket, panicked any) {
	if panicked == nil {
		c.end(ticket, errGoexit)
		return
	}
	// Also if the settings' functions panic.
	defer panic(panicked)
	c.end(ticket, fmt.Errorf("%v", panicked))
}

func (c *core) tell(moved counted.Moved) {
	if moved.From != moved.To && c.settings.OnStateChange != nil {
		c.settings.OnStateChange(c.settings.Name, public(moved.From), public(moved.To))
	}
}

func public(state counted.State) State {
	switch state {
	case counted.Open:
		return StateOpen
	case counted.HalfOpen:
		return StateHalfOpen
	}
	return StateClosed
}
