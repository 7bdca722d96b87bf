package tidegate

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

var limiterAlgorithms = []string{"token_bucket", "pacing", "fixed_window", "sliding_counter", "sliding_window", "warm_up"}

// vectorLimiter is a limiter of the library's and, of token buckets of so much a second, one
// of package rate's, which must give the same answers.
type vectorLimiter struct {
	*Limiter
	twin  *bucket.Bucket
	most  uint64
	taken map[string]*bucket.Reserved
}

func (s *vectorStep) limiterOptions(r *vectorRun) LimiterOptions {
	o := LimiterOptions{
		Limit: s.Rate, Per: time.Duration(s.PerNS), WarmUp: time.Duration(s.WarmUpNS),
		ColdFactor: s.ColdFactor, Buckets: s.Buckets,
	}
	if s.Algorithm != "" {
		o.Algorithm = LimiterAlgorithm(slices.Index(limiterAlgorithms, s.Algorithm))
	}
	if s.Burst != nil {
		o.Burst = *s.Burst
		if o.Burst == 0 {
			o.Burst = NoBurst
		}
	}
	if s.MaxWaitNS != nil {
		o.MaxWait = time.Duration(*s.MaxWaitNS)
	}
	return o
}

// burstOf is the burst of a token bucket's options.
func burstOf(o *LimiterOptions) int {
	switch o.Burst {
	case 0:
		return int(math.Ceil(o.Limit))
	case NoBurst:
		return 0
	}
	return int(o.Burst)
}

func (r *vectorRun) now() uint64 {
	now, _ := r.rt.clock.now()
	return now
}

func (r *vectorRun) limiter(s vectorStep) {
	o := s.limiterOptions(r)
	l, err := r.rt.Limiter(s.Limiter, o)
	r.status(err, s.Expect)
	if err != nil || r.limiters[s.Limiter] != nil {
		return
	}
	made := &vectorLimiter{Limiter: l, most: nanoseconds(o.MaxWait), taken: map[string]*bucket.Reserved{}}
	if o.Algorithm == TokenBucket && o.Per == 0 {
		made.twin = &bucket.Bucket{}
		made.twin.Start(bucket.New(o.Limit, burstOf(&o)))
	}
	r.limiters[s.Limiter] = made
}

func (r *vectorRun) setLimiter(s vectorStep) {
	l, o := r.limiters[s.Limiter], s.limiterOptions(r)
	err := l.Set(o)
	r.status(err, s.Expect)
	if err == nil && l.twin != nil {
		l.most = nanoseconds(o.MaxWait)
		l.twin.Set(r.now(), func(float64, int) (float64, int) { return o.Limit, burstOf(&o) })
	}
}

func (r *vectorRun) take(s vectorStep) {
	l := r.limiters[s.Limiter]
	ns, status := libLimiterTake(l.handle, s.Cost, 0)
	r.status(check("take", status), s.Expect)
	r.equal("wait", ns, s.WaitNS)
	if l.twin != nil {
		r.twin(l, s, l.most, &bucket.Reserved{})
	}
}

// reserve asks for a wait of any length where the vector says none.
func (r *vectorRun) reserve(s vectorStep) {
	l, most := r.limiters[s.Limiter], uint64(math.MaxUint64)
	if s.MaxWaitNS != nil {
		most = *s.MaxWaitNS
	}
	made, status := libLimiterReservation(l.handle, s.Cost, 0, most)
	r.status(check("reserve", status), s.Expect)
	r.equal("wait", made.wait(), s.WaitNS)
	r.reservations[s.As] = made
	l.taken[s.As] = &bucket.Reserved{}
	if l.twin != nil {
		r.twin(l, s, most, l.taken[s.As])
	}
}

// twin does the same in Go.
func (r *vectorRun) twin(l *vectorLimiter, s vectorStep, most uint64, to *bucket.Reserved) {
	var want string
	_ = json.Unmarshal(s.Expect, &want)
	wait, ok := l.twin.Reserve(r.now(), s.Cost, most, to)
	if ok != (want == "" || want == "TG_OK") {
		r.Errorf("step %d: in Go: %v", r.where, ok)
	}
	if ok {
		r.equal("wait in Go", wait, s.WaitNS)
	} else {
		*to = bucket.Reserved{}
	}
}

func (r *vectorRun) cancelReserved(s vectorStep) {
	l := r.limiters[s.Limiter]
	r.status(check("cancel", libLimiterCancel(l.handle, r.reservations[s.Reservation], 0)), s.Expect)
	if l.twin != nil {
		l.twin.Cancel(r.now(), l.taken[s.Reservation])
		*l.taken[s.Reservation] = bucket.Reserved{}
	}
}

func (r *vectorRun) tokens(s vectorStep) {
	l := r.limiters[s.Limiter]
	got, err := l.Limiter.Tokens()
	if err != nil || math.Abs(got-s.Tokens) > 1e-6 {
		r.Errorf("step %d: %g tokens, want %g, %v", r.where, got, s.Tokens, err)
	}
	if l.twin == nil {
		return
	}
	if got := l.twin.Tokens(r.now()); math.Abs(got-s.Tokens) > 1e-6 {
		r.Errorf("step %d: %g tokens in Go, want %g", r.where, got, s.Tokens)
	}
}
