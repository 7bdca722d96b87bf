package breaker

// TwoStepCircuitBreaker asks first, and hears later how the call ended.
type TwoStepCircuitBreaker[T any] struct {
	cb *CircuitBreaker[T]
}

// NewTwoStepCircuitBreaker is a closed breaker of this process's own.
func NewTwoStepCircuitBreaker[T any](st Settings) *TwoStepCircuitBreaker[T] {
	return &TwoStepCircuitBreaker[T]{NewCircuitBreaker[T](st)}
}

// Name is that of its settings.
func (tscb *TwoStepCircuitBreaker[T]) Name() string { return tscb.cb.Name() }

// State is where it stands now.
func (tscb *TwoStepCircuitBreaker[T]) State() State { return tscb.cb.State() }

// Counts are what it has counted.
func (tscb *TwoStepCircuitBreaker[T]) Counts() Counts { return tscb.cb.Counts() }

// Allow asks for one call. done has to be called once, with the error that the
// call returned.
func (tscb *TwoStepCircuitBreaker[T]) Allow() (done func(err error), err error) {
	ticket, err := tscb.cb.of.ask()
	if err != nil {
		return nil, err
	}
	return func(err error) { tscb.cb.of.end(ticket, err) }, nil
}
