package tidegate

import (
	"sync/atomic"

	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

func init() {
	counted.Resolve = func(runtime any, name string, rule counted.Rule) ([]atomic.Uint64, func() uint64, error) {
		return runtime.(*Runtime).countedBreaker(name, rule)
	}
}

// countedBreaker finds or makes the counted breaker of this name: its words in
// the segment, and the clock that it goes by.
func (rt *Runtime) countedBreaker(name string, rule counted.Rule) (words []atomic.Uint64, now func() uint64, err error) {
	status := rt.use(func(handle uintptr) Status {
		words, err = libBreakerWords(handle, name, rule)
		return statusOK
	})
	if err == nil {
		err = check("resolve breaker", status)
	}
	now = func() uint64 {
		ns, _ := rt.clock.now()
		return max(ns, 1)
	}
	return words, now, err
}
