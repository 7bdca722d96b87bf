package tidegate

import (
	"context"
	"errors"
)

// Outcome is how a guarded call ended. What each one teaches:
//
//	            breaker        adaptive limit  half-open probe
//	Success     good           sample          passes
//	Failure     bad            sample          fails
//	TimedOut    bad and slow   drop            fails
//	Overloaded  bad            drop            fails
//	Cancelled   nothing        nothing         given back unjudged
//	Ignored     nothing        nothing         given back unjudged
//
// All but Cancelled are recorded in the guard's duration histogram.
type Outcome int32

// The outcomes.
const (
	Success    Outcome = 0 // the call did what it was for
	Failure    Outcome = 1 // the call failed
	TimedOut   Outcome = 2 // the call took longer than it may
	Overloaded Outcome = 3 // the callee said that it has too much to do
	Cancelled  Outcome = 4 // our caller left
	Ignored    Outcome = 5 // says nothing about the callee's health
)

var outcomeNames = [...]string{"success", "failure", "timeout", "overloaded", "cancelled", "ignored"}

// String is the outcome's name, as metrics spell it.
func (o Outcome) String() string {
	if o >= 0 && int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "unknown"
}

// Classifier judges how a call ended from the error that it returned (nil
// included) and the context that the caller gave to [Guard.Do].
type Classifier func(ctx context.Context, err error) Outcome

// Classify is the classifier of [Guard.Do], unless [WithClassifier] replaces
// it. The first line that fits counts:
//
//   - no error: Success;
//   - an error marked by [WithOutcome]: that outcome;
//   - it is context.Canceled, and ctx was cancelled: Cancelled;
//   - it is context.DeadlineExceeded, or its Timeout method says true, as
//     with net.Error: TimedOut;
//   - any other error: Failure.
func Classify(ctx context.Context, err error) Outcome {
	if err == nil {
		return Success
	}
	if marked, ok := OutcomeOf(err); ok {
		return marked
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled):
		return Cancelled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	}
	return Failure
}

// WithOutcome marks an error with the outcome that [Classify] shall take it
// for. The mark is seen through wrapping; errors.Is and errors.As see err
// through the mark. A nil error stays nil.
func WithOutcome(err error, outcome Outcome) error {
	if err == nil {
		return nil
	}
	return &outcomeError{err, outcome}
}

// OutcomeOf is the mark that [WithOutcome] gave to err or to what it wraps, for
// classifiers of your own; ok is false where there is none.
func OutcomeOf(err error) (outcome Outcome, ok bool) {
	var marked *outcomeError
	if !errors.As(err, &marked) {
		return Failure, false
	}
	return marked.outcome, true
}

type outcomeError struct {
	err     error
	outcome Outcome
}

func (e *outcomeError) Error() string { return e.err.Error() }
func (e *outcomeError) Unwrap() error { return e.err }
