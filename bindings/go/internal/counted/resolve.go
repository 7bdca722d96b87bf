package counted

import (
	"errors"
	"sync/atomic"
)

// Resolve finds or makes the breaker of a name in a runtime's segment: its
// words, and the runtime's clock. Package tidegate sets it, which this one
// cannot import.
var Resolve = func(runtime any, name string, rule Rule) ([]atomic.Uint64, func() uint64, error) {
	return nil, nil, errors.New("tidegate: not linked")
}
