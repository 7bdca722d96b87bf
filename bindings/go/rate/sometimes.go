package rate

import (
	"sync"
	"time"
)

// Sometimes runs a function now and then: the first call of [Sometimes.Do] always, later
// ones where any of its fields says so. The zero value runs it once.
type Sometimes struct {
	First    int           // the first so many calls run
	Every    int           // the first call, and every so many-th from it on
	Interval time.Duration // calls that come so long after the last that ran

	mu    sync.Mutex
	count int       // calls so far
	last  time.Time // when f ran last; only with an Interval
}

// Do runs f or not. Calls run one after the other, so f must not call Do itself.
func (s *Sometimes) Do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.due() {
		f()
		if s.Interval > 0 {
			s.last = time.Now()
		}
	}
	s.count++
}

func (s *Sometimes) due() bool {
	return s.count == 0 ||
		s.count < s.First ||
		s.Every > 0 && s.count%s.Every == 0 ||
		s.Interval > 0 && time.Since(s.last) >= s.Interval
}
