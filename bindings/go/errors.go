package tidegate

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// NeverRetry is the RetryAfter of a refusal that no waiting will turn, such as
// a cost above the burst of its limit.
const NeverRetry = time.Duration(math.MaxInt64)

// RefusedError says that a guard did not let a call pass. It matches
// [ErrRefused] and the status of its stage, such as [ErrRefusedRate].
type RefusedError struct {
	Guard  string // the guard's name
	Status Status // 1 to 99
	Stage  Stage  // which stage refused
	// RetryAfter is how long to wait before the call has a chance: 0 when
	// that is not known, NeverRetry when waiting will not help.
	RetryAfter time.Duration
	// Reason is the stage's own number: what a policy gave as its reason, or
	// which of a guard's rate limits refused, from 0.
	Reason uint32
}

// Error names the guard, the stage and the time to wait.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("tidegate: %s refused by %s", e.Guard, e.Stage)
	if e.Reason != 0 {
		text += fmt.Sprintf(" (reason %d)", e.Reason)
	}
	if e.RetryAfter > 0 && e.RetryAfter != NeverRetry {
		text += fmt.Sprintf(", retry after %s", e.RetryAfter)
	}
	return text
}

// Unwrap gives the status, for errors.Is.
func (e *RefusedError) Unwrap() error { return e.Status }

// Error is a library error with its message. It matches its status, such as
// [ErrInvalid].
type Error struct {
	Op      string // what was tried, such as "open"
	Status  Status // 100 and above
	Message string // details in words; may be empty
}

// Error says what was tried and why it failed.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("tidegate: %s: %s", e.Op, strings.TrimPrefix(e.Status.Error(), "tidegate: "))
	}
	return fmt.Sprintf("tidegate: %s: %s (%s)", e.Op, e.Message, e.Status.Name())
}

// Unwrap gives the status, for errors.Is.
func (e *Error) Unwrap() error { return e.Status }

// check turns a status into an error; nil for success.
func check(op string, status Status) error {
	if status == statusOK {
		return nil
	}
	return &Error{Op: op, Status: status}
}

// saturate turns nanoseconds of the library into a Duration: its "never", and
// whatever a Duration cannot hold, is NeverRetry.
func saturate(ns uint64) time.Duration {
	if ns > math.MaxInt64 {
		return NeverRetry
	}
	return time.Duration(ns)
}

// nanoseconds turns a Duration into the library's form; below zero is zero.
func nanoseconds(d time.Duration) uint64 { return uint64(max(d, 0)) }
