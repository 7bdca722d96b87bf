package counted

import "sync/atomic"

// Counts are what a breaker counted in its generation.
type Counts struct {
	Requests, TotalSuccesses, TotalFailures, TotalExclusions uint32
	ConsecutiveSuccesses, ConsecutiveFailures                uint32
}

// Ticket is what a call that was let pass names at its end.
type Ticket struct{ generation, bucket uint64 }

// Answer is what a breaker says to a call.
type Answer int

// The answers.
const (
	Pass Answer = iota
	IsOpen
	TooMany
)

// Ending is how a call ended.
type Ending int

// The endings.
const (
	Success Ending = iota
	Failure
	Excluded
)

// Moved is a change of state, from and to; they are the same where there was
// none.
type Moved struct{ From, To State }

// Snapshot is what a breaker counted, and of which generation.
type Snapshot struct {
	State      State
	Generation uint64
	Counts     Counts
}

// Breaker is a counted breaker on its words. Now is asked only where time
// matters. It must not change once it is used.
type Breaker struct {
	rule  Rule
	words []atomic.Uint64
	now   func() uint64
}

// New is the breaker in these words; all of them 0 is a closed one.
func New(rule Rule, words []atomic.Uint64, now func() uint64) Breaker {
	return Breaker{rule, words[:rule.Words()], now}
}

// settle makes the change of state that is due. The time is 0 where it does
// not matter.
func (b *Breaker) settle() (standing, uint64, Moved) {
	var now uint64
	for {
		seen := b.words[0].Load()
		before := standingOf(seen)
		if before.isTimeless(&b.rule) {
			return before, now, Moved{}
		}
		if now == 0 {
			now = b.now()
		}
		after := before.at(&b.rule, now)
		if after == before || b.words[0].CompareAndSwap(seen, after.word()) {
			return after, now, Moved{before.state, after.state}
		}
	}
}

func (b *Breaker) isIn(generation uint64) bool {
	return b.words[0].Load()>>sinceBits&generationMask == generation
}

func (b *Breaker) bucket(number uint64) []atomic.Uint64 {
	at := headWords + bucketWords*(number%b.rule.buckets)
	return b.words[at : at+bucketWords : at+bucketWords]
}

// The words of a bucket.
const (
	asked = iota
	excluded
	succeeded
	failed
)

// Ask asks for one call.
func (b *Breaker) Ask() (Ticket, Answer, Moved) {
	var moved Moved
	for {
		s, now, m := b.settle()
		if m.From != m.To {
			moved = m
		}
		if s.state == Open {
			return Ticket{}, IsOpen, moved
		}
		ticket := Ticket{s.generation, s.bucket(&b.rule, now)}
		switch b.takeOne(ticket, s.state) {
		case changed:
			return ticket, Pass, moved
		case refused:
			return Ticket{}, TooMany, moved
		}
	}
}

func (b *Breaker) takeOne(ticket Ticket, state State) kept {
	word, tag := &b.bucket(ticket.bucket)[asked], tagOf(&b.rule, ticket.generation, ticket.bucket)
	for {
		seen := word.Load()
		if !b.isIn(ticket.generation) {
			return past
		}
		count := numberUnder(seen, tag)
		if state == HalfOpen && count >= b.rule.MaxRequests {
			return refused
		}
		if to := tag<<32 | uint64(plusOne(count)); to == seen || word.CompareAndSwap(seen, to) {
			return changed
		}
	}
}

// End says how a call ended; judge is asked only if it still counts. A failed
// call of a closed breaker gets the counts to judge by (true): whoever finds
// them bad calls [Breaker.Trip] with their generation.
func (b *Breaker) End(ticket Ticket, err error, judge func(error) Ending) (Snapshot, bool, Moved) {
	s, now, moved := b.settle()
	if s.generation != ticket.generation {
		return Snapshot{}, false, moved
	}
	ending := judge(err)
	last := s.bucket(&b.rule, now)
	gone := last >= ticket.bucket && last-ticket.bucket >= b.rule.buckets
	counted := !gone && b.count(ticket, ending)
	switch {
	case s.state == HalfOpen && ending == Failure:
		moved = b.or(moved, ticket.generation, HalfOpen, Open)
	case s.state == HalfOpen && ending == Success:
		if row, _ := endsOf(numberUnder(b.words[1].Load(), ticket.generation)); row >= b.rule.MaxRequests {
			moved = b.or(moved, ticket.generation, HalfOpen, Closed)
		}
	case s.state == Closed && ending == Failure && (counted || gone):
		snapshot, ok := b.snapshotOf(s, now)
		return snapshot, ok, moved
	}
	return Snapshot{}, false, moved
}

func (b *Breaker) or(moved Moved, generation uint64, from, to State) Moved {
	if went := b.turn(generation, from, to); moved.From == moved.To {
		return went
	}
	return moved
}

// Trip opens a closed breaker that is still in this generation.
func (b *Breaker) Trip(generation uint64) Moved { return b.turn(generation, Closed, Open) }

func (b *Breaker) turn(generation uint64, from, to State) Moved {
	now := b.now()
	for {
		seen := b.words[0].Load()
		s := standingOf(seen)
		if s.generation != generation || s.state != from {
			return Moved{}
		}
		if b.words[0].CompareAndSwap(seen, s.begin(to, now).word()) {
			return Moved{from, to}
		}
	}
}

// count is false where its bucket, or its generation, is over.
func (b *Breaker) count(ticket Ticket, ending Ending) bool {
	bucket, tag := b.bucket(ticket.bucket), tagOf(&b.rule, ticket.generation, ticket.bucket)
	word := &bucket[succeeded]
	switch ending {
	case Failure:
		word = &bucket[failed]
	case Excluded:
		word = &bucket[excluded]
	}
	if !b.add(word, ticket, &bucket[asked], tag, plusOne) {
		return false
	}
	if ending == Excluded {
		return b.add(&bucket[asked], ticket, &bucket[asked], tag, minusOne)
	}
	step := func(run uint32) uint32 { return runOn(run, ending == Failure) }
	return b.add(&b.words[1], ticket, nil, ticket.generation, step)
}

// add changes the number under the tag of a word while the generation is the
// present one, and the bucket is still that of the tag.
func (b *Breaker) add(word *atomic.Uint64, of Ticket, asked *atomic.Uint64, tag uint64, step func(uint32) uint32) bool {
	for {
		seen := word.Load()
		if !b.isIn(of.generation) || asked != nil && asked.Load()>>32 != tag {
			return false
		}
		to := tag<<32 | uint64(step(numberUnder(seen, tag)))
		if to == seen || word.CompareAndSwap(seen, to) {
			return true
		}
	}
}

// State is where it stands, once what is due has happened.
func (b *Breaker) State() (State, Moved) {
	s, _, moved := b.settle()
	return s.state, moved
}

// Snapshot is what it has counted. Where settled is false, no change of state
// that is due is made.
func (b *Breaker) Snapshot(settled bool) (Snapshot, Moved) {
	var moved Moved
	for {
		s, now := standingOf(b.words[0].Load()), b.now()
		if settled {
			var m Moved
			if s, _, m = b.settle(); m.From != m.To {
				moved = m
			}
		}
		if snapshot, ok := b.snapshotOf(s, now); ok {
			return snapshot, moved
		}
	}
}

// snapshotOf is false where the generation ended meanwhile. Ends are read
// before requests, so that there are no more.
func (b *Breaker) snapshotOf(s standing, now uint64) (Snapshot, bool) {
	c, last, first := Counts{}, s.bucket(&b.rule, now), uint64(0)
	good, bad := endsOf(numberUnder(b.words[1].Load(), s.generation))
	if last >= b.rule.buckets {
		first = last - (b.rule.buckets - 1)
	}
	for number := first; number <= last; number++ {
		bucket, tag := b.bucket(number), tagOf(&b.rule, s.generation, number)
		add(&c.TotalSuccesses, numberUnder(bucket[succeeded].Load(), tag))
		add(&c.TotalFailures, numberUnder(bucket[failed].Load(), tag))
		said := numberUnder(bucket[excluded].Load(), tag)
		add(&c.TotalExclusions, said)
		add(&c.Requests, numberUnder(bucket[asked].Load(), tag))
		add(&c.Requests, said)
	}
	c.ConsecutiveSuccesses, c.ConsecutiveFailures = min(good, c.TotalSuccesses), min(bad, c.TotalFailures)
	return Snapshot{s.state, s.generation, c}, b.isIn(s.generation)
}

func add(sum *uint32, n uint32) { *sum += min(n, numberMask-*sum) }
