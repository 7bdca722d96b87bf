package rate

import (
	"math"
	"time"
)

// started is what times count from. Words are modular, so times before it are fine.
var started = time.Now()

// now is the limiter's time without looking at the wall clock.
func (lim *Limiter) now() uint64 {
	if lim.virtual != nil {
		return lim.virtual.Now()
	}
	return uint64(time.Since(started)) + lim.offset
}

// at is the limiter's time of a caller's.
func (lim *Limiter) at(t time.Time) uint64 {
	since := t.Sub(started)
	if since == math.MinInt64 || since == math.MaxInt64 {
		// Farther than a Duration: the time of the zero Time, for one.
		since = time.Duration((t.Unix()-started.Unix())*1e9 + int64(t.Nanosecond()-started.Nanosecond()))
	}
	return uint64(since) + lim.offset
}

// anchor makes now the time of a shared limiter's home.
func (lim *Limiter) anchor() {
	before := time.Since(started)
	home := lim.b.Home().Now()
	after := time.Since(started)
	lim.offset = home - uint64(before+(after-before)/2)
	if lim.b.Home().Virtual() {
		lim.virtual = lim.b.Home()
	}
}
