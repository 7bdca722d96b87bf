// Package bucket is the mathematics of the library's token bucket (core/src/rate/limiter.rs
// and reserve.rs, which explain it), on a word that may stand in a Go process or in
// the segment. Vectors and a property test hold the two together.
package bucket

import (
	"math"
	"math/big"
	"math/bits"
)

const (
	fraction       = 3 // times are in eighths of a nanosecond
	generationBits = 4
	generationMask = 1<<generationBits - 1
	// generations are told apart modulo this; neighbours stand at different sides.
	generations = 14
	maxFill     = 1 << 58 // the longest time to fill a bucket
	maxWait     = (maxFill - 1) >> fraction
	parts       = 256 // of a token, in the word of a bucket that gains none
	mostStill   = 1 << 50
	second      = 1_000_000_000
	maxShift    = 32
	leastBits   = 31
)

// Forever is a wait without end.
const Forever = math.MaxUint64

// Kinds of numbers, as in the segment.
const (
	flowing   = 16
	still     = 17
	unlimited = 18
)

// Numbers are what a limit and a burst come to.
type Numbers struct {
	kind       uint64
	generation uint64
	interval   uint64 // eighths of a nanosecond a token, times 2^shift
	shift      uint
	unit       uint64 // eighths of a nanosecond one token takes, rounded up
	tolerance  uint64 // time to fill an empty bucket
	debt       uint64
	burst      uint64 // of a bucket that gains nothing

	// Limit and Burst are what the user said.
	Limit float64
	Burst int

	since uint64 // when they came in force
	tag   uint64 // what stands over them in the segment
}

// New makes numbers of generation 1. It always can: a token that takes over a year is
// never made, a burst that takes over a year to fill is as large as what does not,
// and a limit over 2^63 a second counts as that.
func New(limit float64, burst int) *Numbers { return newNumbers(limit, burst, 1) }

func newNumbers(limit float64, burst int, generation uint64) *Numbers {
	n := &Numbers{generation: generation, Limit: limit, Burst: burst}
	n.burst = uint64(min(max(burst, 0), mostStill))
	switch {
	case limit >= math.MaxFloat64:
		n.kind = unlimited
	case !(limit > 0) || burst <= 0 || !n.flow(math.Min(limit, 1<<63), uint64(burst)):
		n.kind = still
	}
	return n
}

// flow fills in what a bucket needs that gains tokens; false: a token takes too long.
func (n *Numbers) flow(limit float64, burst uint64) bool {
	ideal := second * (1 << fraction) / limit
	for shift := 60; shift >= 0; shift-- {
		bound := 62
		if shift > maxShift {
			bound = leastBits
		}
		if math.Ldexp(ideal, shift) < math.Ldexp(1, bound) {
			n.shift = uint(shift)
			n.interval = uint64(math.Ldexp(ideal, shift))
			break
		}
	}
	n.unit = costOf(n.interval, n.shift, 1)
	n.tolerance = min(n.fill(burst), maxFill)
	n.kind, n.debt = flowing, maxWait<<fraction
	return n.interval > 0 && n.unit <= maxFill
}

// fill is the time to fill an empty bucket of so many tokens. As each cost rounds up, so
// many single ones may take a little more than all at once, but never one token more.
func (n *Numbers) fill(burst uint64) uint64 {
	singles := uint64(math.MaxUint64)
	if high, low := bits.Mul64(n.unit, burst); high == 0 {
		singles = low
	}
	more := costOf(n.interval, n.shift, saturating(burst, 1))
	return max(min(singles, more-1), costOf(n.interval, n.shift, burst))
}

// costOf is interval × cost / 2^shift, rounded up and saturating.
func costOf(interval uint64, shift uint, cost uint64) uint64 {
	high, low := bits.Mul64(interval, cost)
	low, carry := bits.Add64(low, 1<<shift-1, 0)
	high += carry
	if high>>shift != 0 {
		return math.MaxUint64
	}
	return high<<(64-shift) | low>>shift
}

func (n *Numbers) timeOf(cost uint64) uint64 {
	if cost == 1 {
		return n.unit
	}
	return costOf(n.interval, n.shift, cost)
}

func (n *Numbers) deepest() uint64 { return n.tolerance + n.debt }

// fullAt is the word of a bucket that is full at a time.
func fullAt(now, generation uint64) uint64 { return now<<(fraction+generationBits) + generation }

func (n *Numbers) word(now, used uint64) uint64 {
	return fullAt(now, n.generation) + used<<generationBits
}

// difference is between two times of words, in eighths of a nanosecond.
func difference(later, earlier uint64) int64 { return int64(later-earlier) >> generationBits }

// usedOf is how far a word of these numbers is ahead of now: 0 is a full bucket.
func (n *Numbers) usedOf(seen, now uint64) uint64 {
	if seen&generationMask == 0 {
		return 0
	}
	if n.kind != flowing {
		return seen >> generationBits
	}
	return min(uint64(max(difference(seen, fullAt(now, 0)), 0)), n.deepest())
}

func (n *Numbers) tokens(seen, now uint64) float64 {
	used := n.usedOf(seen, now)
	switch n.kind {
	case flowing:
		return (float64(n.tolerance) - float64(used)) * math.Ldexp(1, int(n.shift)) / float64(n.interval)
	case still:
		return float64(n.burst) - float64(used)/parts
	}
	return float64(n.burst)
}

// wordOf is the word with so many tokens, as far as burst and debt allow.
func (n *Numbers) wordOf(tokens float64, now uint64) uint64 {
	if n.kind != flowing {
		used := math.Max(math.Ceil((float64(n.burst)-tokens)*parts), 0)
		return toUint(math.Min(used, 2*mostStill*parts))<<generationBits | n.generation
	}
	left := tokens * float64(n.interval) / math.Ldexp(1, int(n.shift))
	used := toUint(math.Max(math.Ceil(float64(n.tolerance)-left), 0))
	return n.word(now, min(used, n.deepest()))
}

// toUint saturates, as Rust does.
func toUint(f float64) uint64 {
	if f >= math.MaxUint64 {
		return math.MaxUint64
	}
	return uint64(f)
}

// rescale is the word with as many tokens as seen has under the numbers before.
func (n *Numbers) rescale(old *Numbers, seen, now uint64) uint64 {
	if n.kind != flowing || old.kind != flowing {
		return n.wordOf(old.tokens(seen, now), now)
	}
	used := old.usedOf(seen, now)
	if used <= old.tolerance {
		left, _ := n.converted(old, old.tolerance-used)
		used = n.tolerance - min(left, n.tolerance)
	} else {
		used = saturating(n.tolerance, n.convertedUp(old, used-old.tolerance))
	}
	return n.word(now, min(used, n.deepest()))
}

// converted is the time that as many tokens take here as take time in old: rounded
// down, and whether it was.
func (n *Numbers) converted(old *Numbers, time uint64) (uint64, bool) {
	number := func(x uint64) *big.Int { return new(big.Int).SetUint64(x) }
	scaled := number(time)
	scaled.Lsh(scaled, old.shift)
	whole, rest := new(big.Int).QuoRem(scaled, number(max(old.interval, 1)), new(big.Int))
	whole.Mul(whole, number(n.interval))
	rest.Mul(rest, number(n.interval))
	part, left := new(big.Int).QuoRem(rest, number(max(old.interval, 1)), new(big.Int))
	sum := whole.Add(whole, part)
	down := new(big.Int).Rsh(sum, n.shift)
	rounded := left.Sign() != 0 || new(big.Int).Lsh(down, n.shift).Cmp(sum) != 0
	if !down.IsUint64() {
		return math.MaxUint64, rounded
	}
	return down.Uint64(), rounded
}

func (n *Numbers) convertedUp(old *Numbers, time uint64) uint64 {
	down, rounded := n.converted(old, time)
	if rounded {
		return saturating(down, 1)
	}
	return down
}

func saturating(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}
