// Package rate is golang.org/x/time/rate on Tidegate's bucket: change the import line
// and go on. The same names mean the same; [Shared] and [SharedOn] make limiters
// whose state is shared, under a name, by all who ask for it: in this process, and in every
// process and language on the segment.
//
// A limiter is one atomic word, taken from by one compare-and-swap, without a lock
// and without a call into C. So it works, and costs the same, in a build without
// the library (CGO_ENABLED=0), where Shared shares within the process.
//
// It differs from the original in this:
//
//   - A time before the last one finds no more tokens than there were then. The original
//     counts the tokens of the last time for it, and from then on counts the
//     time in between again, which admits more than limit and burst.
//   - A token takes whole eighths of a nanosecond, rounded up: limits over 10^8 a second
//     with calls of single tokens are kept to 1 % or better. What is admitted never
//     exceeds the limit.
//   - A burst that takes over 1.1 years to fill is as large as what fills in that time,
//     a token that takes longer never comes, and nobody waits longer.
//   - A negative n counts as 0.
//   - After a partial cancel nobody gets back more than they took (the original
//     remembers the last reservation only). A reservation that was made two changes of limit
//     or burst ago gives nothing back; where the limit is or was 0 or Inf, one change.
//   - SetLimit and SetBurst of a shared limiter that run at once, in different processes, may
//     put the other's burst or limit back to what it was.
//
// Times that a caller gives are turned into nanoseconds by one anchor, made at the start of
// the program (of a shared limiter: when it was resolved), so those of one limiter should be
// of one clock, and lie within two years of each other.
package rate

import (
	"math"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

// Limit is a rate, in events a second. Zero allows none beyond the burst.
type Limit float64

// Inf allows all events, whatever the burst.
const Inf = Limit(math.MaxFloat64)

// InfDuration is the delay of a reservation that is not OK.
const InfDuration = time.Duration(math.MaxInt64)

// Every is the limit of one event an interval.
func Every(interval time.Duration) Limit {
	if interval <= 0 {
		return Inf
	}
	return 1 / Limit(interval.Seconds())
}

// Limiter lets events pass at a rate of limit tokens a second on average, and up to
// burst at once. The zero value rejects all events. Any number of goroutines may
// use it. It must not be copied after first use.
type Limiter struct {
	b bucket.Bucket
	// Of a shared limiter: what to add to the time since started.
	offset uint64
	// Of a shared limiter whose clock only moves when it is moved.
	virtual bucket.Home
}

// NewLimiter makes a limiter of the process's own.
func NewLimiter(r Limit, b int) *Limiter {
	lim := &Limiter{}
	lim.b.Start(bucket.New(float64(r), b))
	return lim
}

// Limit is the rate in force.
func (lim *Limiter) Limit() Limit { return Limit(lim.b.Numbers().Limit) }

// Burst is the largest number of events that can happen at once.
func (lim *Limiter) Burst() int { return lim.b.Numbers().Burst }

// Allow is AllowN of one event, now.
func (lim *Limiter) Allow() bool { return lim.b.Allow(lim.now(), 1) }

// AllowN tells whether n events may happen at t, and takes their tokens if so.
func (lim *Limiter) AllowN(t time.Time, n int) bool {
	return lim.b.Allow(lim.at(t), tokens(n))
}

// Tokens is the number of tokens there are now; negative when reservations wait.
func (lim *Limiter) Tokens() float64 { return lim.b.Tokens(lim.now()) }

// TokensAt is the number of tokens there are at t.
func (lim *Limiter) TokensAt(t time.Time) float64 { return lim.b.Tokens(lim.at(t)) }

// SetLimit is SetLimitAt now.
func (lim *Limiter) SetLimit(newLimit Limit) { lim.setLimit(lim.now(), newLimit) }

// SetLimitAt changes the rate at t; tokens and debts stay as they are. Reservations that
// were told their delay keep it.
func (lim *Limiter) SetLimitAt(t time.Time, newLimit Limit) { lim.setLimit(lim.at(t), newLimit) }

// SetBurst is SetBurstAt now.
func (lim *Limiter) SetBurst(newBurst int) { lim.setBurst(lim.now(), newBurst) }

// SetBurstAt changes the burst at t; of tokens beyond it none stay.
func (lim *Limiter) SetBurstAt(t time.Time, newBurst int) { lim.setBurst(lim.at(t), newBurst) }

func (lim *Limiter) setLimit(at uint64, limit Limit) {
	lim.b.Set(at, func(_ float64, burst int) (float64, int) { return float64(limit), burst })
}

func (lim *Limiter) setBurst(at uint64, burst int) {
	lim.b.Set(at, func(limit float64, _ int) (float64, int) { return limit, burst })
}

func tokens(n int) uint64 { return uint64(max(n, 0)) }
