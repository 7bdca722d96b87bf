// Package counted is the mathematics of the counted breaker, on the words that
// core/src/breaker/counts.rs describes: the same words, the same transitions,
// so that a breaker in a runtime's segment is one whatever language uses it.
// tests/vectors/counted holds the two together.
package counted

const (
	sinceBits      = 38
	unitBits       = 15
	generationMask = 1<<24 - 1
	timeMask       = 1<<(sinceBits+unitBits) - 1
	longest        = timeMask / 2
	longestWait    = timeMask / 4
	late           = 1 << 33

	headWords   = 2
	bucketWords = 4
	// MaxBuckets is how many a breaker in a segment has at most.
	MaxBuckets = 10_000

	failing    = 1 << 31
	numberMask = 1<<32 - 1
)

// State is where a breaker stands, as the words number it.
type State uint64

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
)

// Rule is what a breaker goes by.
type Rule struct {
	// MaxRequests pass while half-open.
	MaxRequests uint32
	// Interval, Period and Timeout in nanoseconds. Interval 0: nothing is
	// forgotten. Period 0: all at once.
	Interval, Period, Timeout uint64
	buckets                   uint64
}

// NewRule fills in what is not given, as Rule::new does.
func NewRule(maxRequests uint32, interval, period, timeout uint64) Rule {
	r := Rule{max(maxRequests, 1), interval, period, timeout, 1}
	if interval != 0 && period != 0 {
		r.buckets = min(max((interval-1)/period+1, 1), MaxBuckets)
	}
	if timeout == 0 {
		r.Timeout = 60_000_000_000
	}
	return r
}

// Words is how many words the rule's breaker has.
func (r *Rule) Words() int { return headWords + bucketWords*int(r.buckets) }

type standing struct {
	state             State
	generation, since uint64
}

func standingOf(word uint64) standing {
	return standing{State(min(word>>62, 2)), word >> sinceBits & generationMask, word & (1<<sinceBits - 1)}
}

func (s standing) word() uint64 { return uint64(s.state)<<62 | s.generation<<sinceBits | s.since }

func (s standing) begin(state State, now uint64) standing {
	since := now >> unitBits
	if now&(1<<unitBits-1) != 0 {
		since++
	}
	return standing{state, (s.generation + 1) & generationMask, since & (1<<sinceBits - 1)}
}

// age is false where it began in what is now the future.
func (s standing) age(now uint64) (uint64, bool) {
	passed := (now - s.since<<unitBits) & timeMask
	if passed <= longest {
		return passed, true
	}
	return 0, timeMask-passed < late
}

func (s standing) isOver(wait, now uint64) bool {
	age, ok := s.age(now)
	return !ok || age > min(wait, longestWait)
}

// at is what time has made of it.
func (s standing) at(r *Rule, now uint64) standing {
	switch {
	case s.state == Closed && r.buckets > 1:
		if _, ok := s.age(now); !ok {
			return s.begin(Closed, now)
		}
	case s.state == Closed && r.Interval != 0 && s.isOver(r.Interval, now):
		return s.begin(Closed, now)
	case s.state == Open && s.isOver(r.Timeout, now):
		return s.begin(HalfOpen, now)
	}
	return s
}

// isTimeless says that no time changes it.
func (s standing) isTimeless(r *Rule) bool {
	return s.state == HalfOpen || s.state == Closed && r.buckets == 1 && r.Interval == 0
}

func (s standing) bucket(r *Rule, now uint64) uint64 {
	if r.buckets == 1 || s.state != Closed {
		return 0
	}
	age, _ := s.age(now)
	return age / max(r.Period, 1)
}

func tagOf(r *Rule, generation, bucket uint64) uint64 {
	if r.buckets <= 1 {
		return generation & numberMask
	}
	return (generation&0xFFF)<<20 | bucket&0xF_FFFF
}

// numberUnder is what a word holds under a tag.
func numberUnder(word, tag uint64) uint32 {
	if word>>32 == tag {
		return uint32(word)
	}
	return 0
}

func endsOf(run uint32) (successes, failures uint32) {
	if run&failing == 0 {
		return run, 0
	}
	return 0, run &^ failing
}

func runOn(run uint32, failed bool) uint32 {
	successes, failures := endsOf(run)
	if failed {
		return failing | min(failures+1, failing-1)
	}
	return min(successes+1, failing-1)
}

func plusOne(n uint32) uint32 { return n + min(numberMask-n, 1) }

func minusOne(n uint32) uint32 { return n - min(n, 1) }

type kept int

const (
	changed kept = iota
	refused
	past
)
