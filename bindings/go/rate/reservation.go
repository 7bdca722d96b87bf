package rate

import (
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

// Reservation is leave for events to happen after a delay. It is used by one goroutine
// at a time.
type Reservation struct {
	ok       bool
	canceled bool
	lim      *Limiter
	made     bucket.Reserved
}

// Reserve is ReserveN of one event, now.
func (lim *Limiter) Reserve() *Reservation { return lim.reserve(lim.now(), 1) }

// ReserveN reserves n events at t and says by its Delay when they may happen. It is not
// OK when n exceeds the burst.
func (lim *Limiter) ReserveN(t time.Time, n int) *Reservation {
	return lim.reserve(lim.at(t), tokens(n))
}

func (lim *Limiter) reserve(at, cost uint64) *Reservation {
	r := &Reservation{lim: lim}
	_, r.ok = lim.b.Reserve(at, cost, bucket.Forever, &r.made)
	return r
}

// OK says whether the events may happen at all.
func (r *Reservation) OK() bool { return r.ok }

// Delay is DelayFrom now.
func (r *Reservation) Delay() time.Duration {
	if !r.ok {
		return InfDuration
	}
	return r.made.DelayFrom(r.lim.now())
}

// DelayFrom is how long the holder must wait from t on before acting; InfDuration when
// the reservation is not OK.
func (r *Reservation) DelayFrom(t time.Time) time.Duration {
	if !r.ok {
		return InfDuration
	}
	return r.made.DelayFrom(r.lim.at(t))
}

// Cancel is CancelAt now.
func (r *Reservation) Cancel() {
	if r.ok {
		r.cancel(r.lim.now())
	}
}

// CancelAt says that the holder will not act, and gives back, as far as others have not reserved
// after it, what was taken; nothing once the time to act has passed. A second
// time does nothing.
func (r *Reservation) CancelAt(t time.Time) {
	if r.ok {
		r.cancel(r.lim.at(t))
	}
}

func (r *Reservation) cancel(at uint64) {
	if !r.canceled && !r.made.IsOver(at) {
		r.canceled = true
		r.lim.b.Cancel(at, &r.made)
	}
}
