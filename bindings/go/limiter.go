package tidegate

import (
	"context"
	"math"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

// LimiterAlgorithm says how a [Limiter] decides.
type LimiterAlgorithm uint32

// The algorithms. docs/limiters.md describes them.
const (
	TokenBucket    LimiterAlgorithm = 0
	Pacing         LimiterAlgorithm = 1
	FixedWindow    LimiterAlgorithm = 2
	SlidingCounter LimiterAlgorithm = 3
	SlidingWindow  LimiterAlgorithm = 4
	WarmUp         LimiterAlgorithm = 5
)

// NoBurst is the burst of a token bucket that holds nothing.
const NoBurst = uint64(math.MaxUint64)

// LimiterOptions say what a limiter is made of. What the algorithm does not have
// stays zero.
type LimiterOptions struct {
	Algorithm  LimiterAlgorithm
	Limit      float64       // so much in each Per; windows want a whole number
	Per        time.Duration // 0: a second
	Burst      uint64        // of a token bucket; 0: as many as Limit
	MaxWait    time.Duration // how long Take may have its caller wait; 0: it refuses
	WarmUp     time.Duration // of a warm-up
	ColdFactor float64       // of a warm-up; 0: 3
	Buckets    uint32        // of a sliding window; 0: 10
}

// Limiter is a limit that stands alone, without a guard. Package rate has one with the
// interface of golang.org/x/time/rate, which also decides without a call into C.
type Limiter struct {
	handle uintptr
	rt     *Runtime
}

// Limiter gives the limiter of a name, which all who ask for it share, in every process
// on the segment; with an empty name a new one of this process's own, to be retired in the end. One
// that stands already keeps its options.
func (rt *Runtime) Limiter(name string, options LimiterOptions) (*Limiter, error) {
	l := &Limiter{rt: rt}
	err := rt.attempt("limiter", func(handle uintptr) (err error) {
		l.handle, err = libLimiterResolve(handle, name, &options)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Take takes n and tells how long to wait before acting, at most MaxWait. An error that matches
// [ErrRefusedRate] says that there was too little; wait is then after how long to come
// back ([NeverRetry]: n is more than there can ever be).
func (l *Limiter) Take(n uint64) (wait time.Duration, err error) {
	ns, status := libLimiterTake(l.handle, n, 0)
	return saturate(ns), check("take", status)
}

// Reservation is what a [Limiter] reserved. It is used by one goroutine at a time.
type Reservation struct {
	limiter *Limiter
	made    *reservation
}

// Reserve takes n with a wait of at most longest ([NeverRetry]: any), whatever the options say; the
// caller waits for [Reservation.Wait] before it acts, or cancels. Errors are those of Take.
func (l *Limiter) Reserve(n uint64, longest time.Duration) (*Reservation, error) {
	most := nanoseconds(longest)
	if longest == NeverRetry {
		most = math.MaxUint64
	}
	made, status := libLimiterReservation(l.handle, n, 0, most)
	if status != statusOK {
		return nil, check("reserve", status)
	}
	return &Reservation{l, made}, nil
}

// Wait is how long to wait, from Reserve on, before acting.
func (r *Reservation) Wait() time.Duration { return saturate(r.made.wait()) }

// Cancel gives back what was reserved and will not be used, as far as nobody counts on it. A second
// time is [ErrNotHeld].
func (r *Reservation) Cancel() error {
	return check("cancel", libLimiterCancel(r.limiter.handle, r.made, 0))
}

// Tokens is what could be taken: of a token bucket exactly, and negative in debt; of the
// others the largest whole number.
func (l *Limiter) Tokens() (float64, error) {
	tokens, status := libLimiterTokens(l.handle, 0)
	return tokens, check("tokens", status)
}

// Set puts other options in force for all who share the limiter. Tokens stay, as many
// as the new burst holds; another algorithm begins afresh.
func (l *Limiter) Set(options LimiterOptions) error {
	return libLimiterSet(l.handle, &options, 0)
}

// Retire takes the limiter out, for all who share it.
func (l *Limiter) Retire() error { return check("retire", libLimiterRetire(l.handle)) }

// limiterHome is the limiter behind a bucket of package rate.
type limiterHome struct{ *Limiter }

func init() {
	bucket.Resolve = func(rt any, name string, limit float64, burst int) (*bucket.Place, error) {
		l, err := rt.(*Runtime).Limiter(name, bucketOptions(limit, burst))
		if err != nil {
			return nil, err
		}
		place, status := libLimiterLocate(l.handle)
		if place != nil {
			place.Home = limiterHome{l}
		}
		return place, check("limiter", status)
	}
}

func bucketOptions(limit float64, burst int) LimiterOptions {
	options := LimiterOptions{Limit: max(limit, 0), Burst: NoBurst}
	if burst > 0 {
		options.Burst = uint64(burst)
	}
	return options
}

func (h limiterHome) Take(cost, at, longest uint64) (uint64, bool) {
	wait, status := libLimiterReserve(h.handle, cost, at, longest)
	if status != statusOK && status != ErrRefusedRate {
		return 0, true
	}
	return wait, status == statusOK
}

func (h limiterHome) Tokens(at uint64) float64 {
	tokens, _ := libLimiterTokens(h.handle, at)
	return tokens
}

func (h limiterHome) Set(limit float64, burst int, at uint64) {
	options := bucketOptions(limit, burst)
	if err := libLimiterSet(h.handle, &options, at); err != nil {
		h.rt.fault(ErrInvalid)
	}
}

func (h limiterHome) Now() uint64 {
	now, _ := h.rt.clock.now()
	return now
}

func (h limiterHome) Virtual() bool { return h.rt.clock.virtual }

func (h limiterHome) Sleep(ctx context.Context, d time.Duration) error {
	return h.rt.clock.sleep(ctx, d)
}
