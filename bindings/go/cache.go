package tidegate

import (
	"sync"
	"sync/atomic"
)

// cacheLimit bounds each cache: names made from user input (a URL as a
// guard's name) cost a look-up in the library then, not memory without end.
const cacheLimit = 1 << 14

// cache maps names to what they were resolved to. Reading takes no lock.
type cache[V any] struct {
	entries sync.Map
	size    atomic.Int64
}

func (c *cache[V]) load(name string) (value V, ok bool) {
	found, ok := c.entries.Load(name)
	if !ok {
		return value, false
	}
	return found.(V), true
}

// store keeps the value, or returns the one that another goroutine has kept
// meanwhile. A full cache keeps nothing.
func (c *cache[V]) store(name string, value V) V {
	if c.size.Load() >= cacheLimit {
		return value
	}
	kept, loaded := c.entries.LoadOrStore(name, value)
	if !loaded {
		c.size.Add(1)
	}
	return kept.(V)
}

func (c *cache[V]) drop(name string) {
	if _, loaded := c.entries.LoadAndDelete(name); loaded {
		c.size.Add(-1)
	}
}
