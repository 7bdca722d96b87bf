package breaker

import (
	"github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

// NewShared is the breaker of the settings' name in a runtime: one for all
// processes on its segment, and for all languages. Whoever resolves the name
// has to have the same MaxRequests, Interval, BucketPeriod and Timeout; what is a
// function is each one's own, and OnStateChange hears of the changes made here.
// It must not be used any more once the runtime is closed or the breaker
// retired. Built without libtidegate it answers an error that is
// [tidegate.ErrUnavailable].
func NewShared[T any](rt *tidegate.Runtime, st Settings) (*CircuitBreaker[T], error) {
	rule := ruleOf(st)
	words, now, err := counted.Resolve(rt, st.Name, rule)
	if err != nil {
		return nil, err
	}
	return newBreaker[T](st, counted.New(rule, words, now)), nil
}
