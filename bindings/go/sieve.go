package tidegate

import "sync/atomic"

// sieve is a map of bounded size that evicts by SIEVE: entries stand in the
// order in which they came, a hand goes from the oldest to the newest, clears
// the mark of each entry that was asked for since it last came by, and takes
// the first without one. get may run beside other gets; all else excludes
// everything.
type sieve[K comparable, V any] struct {
	size    int
	entries map[K]*sieveEntry[K, V]
	newest  *sieveEntry[K, V]
	oldest  *sieveEntry[K, V]
	hand    *sieveEntry[K, V] // nil: starts at the oldest
}

type sieveEntry[K comparable, V any] struct {
	key          K
	value        V
	asked        atomic.Bool
	newer, older *sieveEntry[K, V]
}

func newSieve[K comparable, V any](size int) sieve[K, V] {
	return sieve[K, V]{size: size, entries: make(map[K]*sieveEntry[K, V])}
}

func (s *sieve[K, V]) len() int { return len(s.entries) }

// get marks the entry, at most once between two passes of the hand, so that a
// hot entry's cache line is not written by every reader.
func (s *sieve[K, V]) get(key K) (value V, ok bool) {
	entry, ok := s.entries[key]
	if !ok {
		return value, false
	}
	if !entry.asked.Load() {
		entry.asked.Store(true)
	}
	return entry.value, true
}

func (s *sieve[K, V]) peek(key K) (value V, ok bool) {
	if entry, found := s.entries[key]; found {
		return entry.value, true
	}
	return value, false
}

// put adds an entry or replaces its value, which keeps its place.
func (s *sieve[K, V]) put(key K, value V) {
	if entry, ok := s.entries[key]; ok {
		entry.value = value
		return
	}
	if len(s.entries) >= s.size {
		s.evict()
	}
	entry := &sieveEntry[K, V]{key: key, value: value, older: s.newest}
	if s.newest != nil {
		s.newest.newer = entry
	} else {
		s.oldest = entry
	}
	s.newest = entry
	s.entries[key] = entry
}

// evict ends within two rounds: the first clears every mark.
func (s *sieve[K, V]) evict() {
	victim := s.hand
	if victim == nil {
		victim = s.oldest
	}
	for victim.asked.Load() {
		victim.asked.Store(false)
		if victim = victim.newer; victim == nil {
			victim = s.oldest
		}
	}
	s.hand = victim // unlink moves it on
	s.unlink(victim)
}

func (s *sieve[K, V]) remove(key K) {
	if entry, ok := s.entries[key]; ok {
		s.unlink(entry)
	}
}

func (s *sieve[K, V]) unlink(entry *sieveEntry[K, V]) {
	if s.hand == entry {
		s.hand = entry.newer
	}
	if entry.newer != nil {
		entry.newer.older = entry.older
	} else {
		s.newest = entry.older
	}
	if entry.older != nil {
		entry.older.newer = entry.newer
	} else {
		s.oldest = entry.newer
	}
	delete(s.entries, entry.key)
}
