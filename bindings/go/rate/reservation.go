package rate

import (
	"math"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

// Reservation is leave for events to happen after a delay. It is used by one goroutine
// at a time.
type Reservation struct {
	ok       bool
	canceled bool
	lim      *Limiter
	act      time.Time
	made     bucket.Reserved
}

// Reserve is ReserveN of one event, now.
func (lim *Limiter) Reserve() *Reservation { return lim.ReserveN(time.Now(), 1) }

// ReserveN reserves n events at t and says by its Delay when they may happen. It is not
// OK when n exceeds the burst.
func (lim *Limiter) ReserveN(t time.Time, n int) *Reservation {
	r := lim.reserve(t, n, bucket.Forever)
	return &r
}

func (lim *Limiter) reserve(t time.Time, n int, longest uint64) Reservation {
	r := Reservation{lim: lim}
	wait, ok := lim.b.Reserve(lim.at(t), tokens(n), longest, &r.made)
	r.ok = ok
	r.act = t.Add(time.Duration(min(wait, math.MaxInt64)))
	return r
}

// OK says whether the events may happen at all.
func (r *Reservation) OK() bool { return r.ok }

// Delay is DelayFrom now.
func (r *Reservation) Delay() time.Duration { return r.DelayFrom(time.Now()) }

// DelayFrom is how long the holder must wait from t on before acting; InfDuration when
// the reservation is not OK.
func (r *Reservation) DelayFrom(t time.Time) time.Duration {
	if !r.ok {
		return InfDuration
	}
	return max(r.act.Sub(t), 0)
}

// Cancel is CancelAt now.
func (r *Reservation) Cancel() { r.CancelAt(time.Now()) }

// CancelAt says that the holder will not act, and gives back, as far as others have not reserved
// after it, what was taken; nothing once the time to act has passed. A second
// time does nothing.
func (r *Reservation) CancelAt(t time.Time) {
	if !r.ok || r.canceled || r.act.Before(t) {
		return
	}
	r.canceled = true
	r.lim.b.Cancel(r.lim.at(t), &r.made)
}
