package tidegate

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ResultCacheOptions say how much a [ResultCache] keeps, and for how long.
type ResultCacheOptions[K comparable] struct {
	// Size is how many results are kept at most; 1024 when it is 0.
	Size int
	// Fresh is how long a result is given without a new call; 0: never, so
	// that results are kept for errors only.
	Fresh time.Duration
	// Stale is how much longer a result may stand in for an error; 0: never.
	Stale time.Duration
	// StaleIf says which errors an old result may stand in for: those that
	// every one of the functions accepts, all errors without any. Never one
	// of a caller who has left.
	StaleIf []func(error) bool
	// OnStale is told each time that an old result stood in for an error.
	OnStale func(key K, age time.Duration, err error)
	// Clock is what ages are counted on; the machine's when it is nil.
	Clock *Clock
}

// ResultCache keeps results of calls, up to a number of them, gives them again
// while they are fresh, and lets an old one stand in for an error (stale-if-error
// as RFC 5861 has it for HTTP). It may be used by any number of goroutines.
//
// When it is full, SIEVE chooses what goes (Zhang et al., "SIEVE is Simpler than
// LRU", NSDI 2024): a hit then only sets a bit, where LRU moves an entry
// under a lock, keys that are asked for once go first, and on most traces of web
// caches it misses less than LRU does. Entries past their time go when their
// room is needed, or with [ResultCache.Forget].
type ResultCache[K comparable, V any] struct {
	options ResultCacheOptions[K]

	mu      sync.RWMutex
	entries sieve[K, result[V]]
	loading map[K]*loading
}

// result is a value and when its call was begun: what it tells is as old.
type result[V any] struct {
	value V
	since time.Duration
}

// loading are the calls for a key that are under way. After a Forget they may
// bring what is outdated, and are not kept.
type loading struct {
	calls     int
	forgotten bool
}

// NewResultCache makes an empty cache.
func NewResultCache[K comparable, V any](options ResultCacheOptions[K]) *ResultCache[K, V] {
	if options.Size <= 0 {
		options.Size = 1024
	}
	return &ResultCache[K, V]{
		options: options,
		entries: newSieve[K, result[V]](options.Size),
		loading: make(map[K]*loading),
	}
}

// Do gives the key's result when it is fresh, and else what load gives, which
// it keeps. When load fails, an older result is given in its place, with a nil
// error, if [ResultCacheOptions] allow; else load's own error is returned. A
// panic of load goes on and leaves what was kept.
//
// Callers who ask at the same time all load: put a [Collapse] inside to have
// one of them do it.
func (c *ResultCache[K, V]) Do(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	now := c.options.Clock.monotonic()
	if kept, ok := c.load(key); ok && age(now, kept.since) < c.options.Fresh {
		return kept.value, nil
	}
	value, err := c.fetch(ctx, key, now, load)
	if err == nil {
		return value, nil
	}
	if old, ok := c.standIn(ctx, key, err); ok {
		return old, nil
	}
	return value, err
}

// fetch loads a result and keeps it, unless it was forgotten meanwhile.
func (c *ResultCache[K, V]) fetch(ctx context.Context, key K, now time.Duration, load func(context.Context) (V, error)) (value V, err error) {
	under, kept := c.begin(key), false
	defer func() { c.end(key, under, result[V]{value, now}, kept) }()
	value, err = load(ctx)
	kept = err == nil
	return value, err
}

func (c *ResultCache[K, V]) begin(key K) *loading {
	c.mu.Lock()
	defer c.mu.Unlock()
	under := c.loading[key]
	if under == nil {
		under = &loading{}
		c.loading[key] = under
	}
	under.calls++
	return under
}

// end keeps the result, where it is not older than what there is.
func (c *ResultCache[K, V]) end(key K, under *loading, r result[V], keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if under.calls--; under.calls == 0 && !under.forgotten {
		delete(c.loading, key)
	}
	if !keep || under.forgotten {
		return
	}
	if other, ok := c.entries.peek(key); ok && other.since > r.since {
		return
	}
	c.entries.put(key, r)
}

// standIn is the old result for a call that failed.
func (c *ResultCache[K, V]) standIn(ctx context.Context, key K, err error) (value V, ok bool) {
	if errors.Is(ctx.Err(), context.Canceled) || !accepted(err, c.options.StaleIf) {
		return value, false
	}
	kept, ok := c.load(key)
	if !ok {
		return value, false
	}
	old := age(c.options.Clock.monotonic(), kept.since)
	if old >= c.options.Fresh && old-c.options.Fresh >= c.options.Stale {
		return value, false
	}
	if c.options.OnStale != nil {
		c.options.OnStale(key, old, err)
	}
	return kept.value, true
}

func (c *ResultCache[K, V]) load(key K) (result[V], bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries.get(key)
}

// Forget drops the key's result, and what calls that are under way for it will
// bring: after a write, for one.
func (c *ResultCache[K, V]) Forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.remove(key)
	if under := c.loading[key]; under != nil {
		under.forgotten = true
		delete(c.loading, key)
	}
}

// Len is how many results are kept, those past their time included.
func (c *ResultCache[K, V]) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries.len()
}

// age is never below zero: a virtual clock may be set back.
func age(now, since time.Duration) time.Duration { return max(now-since, 0) }
