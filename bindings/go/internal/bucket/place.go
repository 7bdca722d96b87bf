package bucket

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// foreign numbers are those that this package does not know: the library decides.
const foreign = 0

// Words of a side of a cell, as docs/limiters.md says.
const (
	wordTag   = 0
	wordKind  = 1
	wordFirst = 2
	wordSince = 10
	wordLimit = 12
	wordPer   = 13
	wordBurst = 14

	// SideWords is how many there are.
	SideWords = 24
	noBurst   = math.MaxUint64
)

// Home is the limiter behind a shared bucket.
type Home interface {
	Take(cost, at, longest uint64) (wait uint64, ok bool)
	Tokens(at uint64) float64
	Set(limit float64, burst int, at uint64)
	// Now is the time of the runtime's clock.
	Now() uint64
	// Virtual says whether that clock moves only when it is moved.
	Virtual() bool
	// Sleep waits on that clock.
	Sleep(ctx context.Context, d time.Duration) error
}

// Place is where a limiter's cell stands in a segment, which is never unmapped.
type Place struct {
	Home       Home
	Word       *atomic.Uint64
	Generation *atomic.Uint32
	Life       uint32
	Rejected   *atomic.Uint64
	Sides      [2]*[SideWords]atomic.Uint64
}

// Resolve finds or makes the limiter of a name on a runtime; package tidegate sets it.
var Resolve func(rt any, name string, limit float64, burst int) (*Place, error)

// gone lets all pass, as everything of a closed runtime does.
var gone = &Numbers{kind: unlimited, generation: 1, Limit: math.MaxFloat64}

// numbers are those of a generation, from the cache of a side where that is right.
func (p *Place) numbers(side *atomic.Pointer[Numbers], known *Numbers, generation uint64) *Numbers {
	if p.Generation.Load() != p.Life {
		return gone
	}
	tag := p.Sides[generation&1][wordTag].Load()
	if known != nil && known.tag == tag && known.generation == generation {
		return known
	}
	if n := p.read(generation); n != nil && n.generation == generation {
		side.Store(n)
		return n
	}
	return nil
}

// read reads a side; nil: it was written meanwhile.
func (p *Place) read(side uint64) *Numbers {
	words := p.Sides[side&1]
	tag := words[wordTag].Load()
	if tag == 0 {
		return nil
	}
	var w [SideWords]uint64
	for i := range w {
		w[i] = words[i].Load()
	}
	if words[wordTag].Load() != tag {
		return nil
	}
	n := &Numbers{generation: tag & generationMask, tag: tag, since: w[wordSince]}
	n.set(&w)
	return n
}

// set fills in what the words of a side say.
func (n *Numbers) set(w *[SideWords]uint64) {
	per := w[wordPer]
	if per == 0 {
		per = second
	}
	n.Limit = math.Float64frombits(w[wordLimit]) * (second / float64(per))
	n.Burst = int(min(w[wordBurst], math.MaxInt))
	if w[wordBurst] == noBurst {
		n.Burst = int(math.Ceil(math.Float64frombits(w[wordLimit])))
	}
	switch w[wordKind] {
	case flowing:
		n.interval, n.shift = w[wordFirst], uint(w[wordFirst+1]&63)
		n.tolerance, n.unit, n.debt = min(w[wordFirst+2], maxFill), w[wordFirst+3], min(w[wordFirst+4], maxFill)
		n.interval = max(n.interval, 1)
	case still, unlimited:
		n.burst = min(w[wordFirst], mostStill)
	default:
		n.kind = foreign
		return
	}
	n.kind = w[wordKind]
}

func otherSide(generation uint64) uint64 { return generation + 1 }
