package bucket

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Bucket is the word that decides, and the numbers for it. The zero value holds nothing
// and lets nothing pass.
//
// The word says in its lowest bits of which change of the numbers it is; they stand at
// the side of its parity. A change fills the side that is not in force, then rescales
// the word by one compare-and-swap. So nobody waits, and each decision is by
// the numbers that were in force when it was made.
type Bucket struct {
	own    atomic.Uint64
	sides  [2]atomic.Pointer[Numbers] // of even and of odd changes
	shared *Place                     // where the word is in a segment
	change sync.Mutex
}

// Reserved is what a reservation is made of.
type Reserved struct {
	cost    uint64
	exact   uint64
	actAt   uint64
	numbers *Numbers
}

// DelayFrom is how long it is from a time until what was reserved may happen.
func (r *Reserved) DelayFrom(now uint64) time.Duration {
	if r.actAt == Forever {
		return math.MaxInt64
	}
	return time.Duration(max(int64(r.actAt-now), 0))
}

// IsOver says whether the moment for what was reserved lies before a time.
func (r *Reserved) IsOver(now uint64) bool {
	return r.actAt != Forever && int64(r.actAt-now) < 0
}

// nothing lets nothing pass.
var nothing = New(0, 0)

// Start gives the numbers to a bucket that nobody else knows yet.
func (b *Bucket) Start(n *Numbers) { b.sides[1].Store(n) }

// Share puts the bucket on a word of the segment, before anybody else knows it.
func (b *Bucket) Share(p *Place) { b.shared = p }

// Home is what a shared bucket asks for what it does not do by itself; nil of one's own.
func (b *Bucket) Home() Home {
	if b.shared == nil {
		return nil
	}
	return b.shared.Home
}

func (b *Bucket) word() *atomic.Uint64 {
	if b.shared != nil {
		return b.shared.Word
	}
	return &b.own
}

// mostTries at numbers that change meanwhile; more are another process's garbage.
const mostTries = 1 << 16

// load reads the word and its numbers.
func (b *Bucket) load(word *atomic.Uint64) (seen uint64, n *Numbers) {
	for range mostTries {
		seen = word.Load()
		if n = b.numbers(seen); n != nil {
			return seen, n
		}
	}
	return seen, gone
}

// numbers are those that a word is of; nil: they were changed meanwhile.
func (b *Bucket) numbers(seen uint64) *Numbers {
	generation := max(seen&generationMask, 1)
	side := &b.sides[generation&1]
	n := side.Load()
	if b.shared != nil {
		return b.shared.numbers(side, n, generation)
	}
	if n == nil {
		return nothing
	}
	if n.generation != generation {
		return nil
	}
	return n
}

// Allow takes cost at now without a wait.
func (b *Bucket) Allow(now, cost uint64) bool {
	word := b.word()
	for {
		seen, n := b.load(word)
		if n.kind != flowing {
			wait, ok := b.Reserve(now, cost, 0, &Reserved{})
			return ok && wait == 0
		}
		taken := n.timeOf(cost)
		used := n.usedOf(seen, now) + taken
		if taken > n.tolerance || used > n.tolerance && cost > 0 {
			b.Reject()
			return false
		}
		if cost == 0 || word.CompareAndSwap(seen, n.word(now, used)) {
			return true
		}
	}
}

// Reject counts a refusal, where somebody reads it. One of foreign numbers is
// counted by who decides on it.
func (b *Bucket) Reject() {
	if b.shared != nil && b.shared.Rejected != nil {
		b.shared.Rejected.Add(1)
	}
}

// Reserve takes cost at now with a wait of at most longest, in ns, and tells the wait.
func (b *Bucket) Reserve(now, cost, longest uint64, to *Reserved) (wait uint64, ok bool) {
	word := b.word()
	for {
		seen, n := b.load(word)
		*to = Reserved{cost: cost, numbers: n}
		if n.kind == foreign {
			wait, ok := b.shared.Home.Take(cost, now, longest)
			to.actAt = saturating(now, wait)
			return wait, ok
		}
		next, wait, ok := n.step(seen, now, cost, longest, to)
		if !ok {
			b.Reject()
			return 0, false
		}
		if next == seen || word.CompareAndSwap(seen, next) {
			return wait, true
		}
	}
}

func (n *Numbers) step(seen, now, cost, longest uint64, to *Reserved) (next, wait uint64, ok bool) {
	switch n.kind {
	case flowing:
		return n.stepFlowing(seen, now, cost, longest, to)
	case still:
		return n.stepStill(seen, now, cost, longest, to)
	}
	to.exact, to.actAt = n.generation, now
	return seen, 0, true
}

func (n *Numbers) stepFlowing(seen, now, cost, longest uint64, to *Reserved) (next, wait uint64, ok bool) {
	used, taken := n.usedOf(seen, now), n.timeOf(cost)
	if taken > n.tolerance {
		return 0, 0, false
	}
	if cost > 0 && used+taken > n.tolerance {
		wait = used + taken - n.tolerance
	}
	most := uint64(math.MaxUint64)
	if longest < 1<<(64-fraction) {
		most = longest << fraction
	}
	if wait > min(most, n.debt) {
		return 0, 0, false
	}
	to.exact = fullAt(now, n.generation) + wait<<generationBits
	wait = (wait + (1<<fraction - 1)) >> fraction
	to.actAt = now + wait
	if cost == 0 {
		return seen, wait, true
	}
	return n.word(now, used+taken), wait, true
}

func (n *Numbers) stepStill(seen, now, cost, longest uint64, to *Reserved) (next, wait uint64, ok bool) {
	if cost > n.burst {
		return 0, 0, false
	}
	used := n.usedOf(seen, now) + cost*parts
	if cost > 0 && used > n.burst*parts {
		if longest != Forever || used > 2*mostStill*parts {
			return 0, 0, false
		}
		wait = Forever
	}
	to.exact, to.actAt = n.generation, saturating(now, wait)
	if wait == Forever {
		to.actAt = Forever
	}
	if cost == 0 {
		return seen, wait, true
	}
	return used<<generationBits | n.generation, wait, true
}

// Cancel gives back what was reserved and later reservations do not count on; nothing
// once its moment has passed, or after two changes of the numbers.
func (b *Bucket) Cancel(now uint64, r *Reserved) {
	if r.numbers == nil || r.cost == 0 || r.numbers.kind == foreign {
		return
	}
	word := b.word()
	for {
		seen, n := b.load(word)
		at := r
		if r.numbers != n {
			at = r.moved(n, b.before(n))
		}
		next := n.cancel(seen, now, at)
		if next == seen || word.CompareAndSwap(seen, next) {
			return
		}
	}
}

// moved is the reservation under later numbers; nil: they are too much later.
func (r *Reserved) moved(n, before *Numbers) *Reserved {
	if n.tag != 0 && r.numbers.tag == n.tag {
		return r
	}
	old := r.numbers
	if before == nil || before != old && (before.tag == 0 || before.tag != old.tag) ||
		n.kind != flowing || old.kind != flowing {
		return nil
	}
	ahead := difference(r.exact, fullAt(n.since, old.generation))
	if ahead < 0 {
		return nil
	}
	wait := min(n.convertedUp(old, uint64(ahead)), n.deepest())
	ns := (wait + (1<<fraction - 1)) >> fraction
	exact := fullAt(n.since, n.generation) + wait<<generationBits
	return &Reserved{cost: r.cost, exact: exact, actAt: n.since + ns, numbers: n}
}

func (b *Bucket) before(n *Numbers) *Numbers {
	if b.shared != nil {
		return b.shared.read(otherSide(n.generation))
	}
	return b.sides[otherSide(n.generation)&1].Load()
}

func (n *Numbers) cancel(seen, now uint64, r *Reserved) uint64 {
	if r == nil || n.kind == unlimited || n.kind == foreign {
		return seen
	}
	used := n.usedOf(seen, now)
	if r.IsOver(now) {
		return seen
	}
	if n.kind == still {
		return (used-min(used, r.cost*parts))<<generationBits | n.generation
	}
	act := difference(r.exact, fullAt(now, n.generation))
	later := uint64(max(int64(used)-int64(n.tolerance)-act, 0))
	taken := n.timeOf(r.cost)
	if later >= taken {
		return seen
	}
	return n.word(now, used-min(used, taken-later))
}

// Tokens are those left; negative in debt.
func (b *Bucket) Tokens(now uint64) float64 {
	seen, n := b.load(b.word())
	if n.kind == foreign {
		return b.shared.Home.Tokens(now)
	}
	return n.tokens(seen, now)
}

// Numbers are those in force.
func (b *Bucket) Numbers() *Numbers {
	_, n := b.load(b.word())
	return n
}

// Set puts other numbers in force at now; change makes them of those before.
func (b *Bucket) Set(now uint64, change func(limit float64, burst int) (float64, int)) {
	b.change.Lock()
	defer b.change.Unlock()
	old := b.Numbers()
	limit, burst := change(old.Limit, old.Burst)
	if b.shared != nil {
		b.shared.Home.Set(limit, burst, now)
		return
	}
	n := newNumbers(limit, burst, old.generation%generations+1)
	n.since = now
	b.sides[n.generation&1].Store(n)
	for {
		seen := b.own.Load()
		if b.own.CompareAndSwap(seen, n.rescale(old, seen, now)) {
			return
		}
	}
}

// Word is what the word says.
func (b *Bucket) Word() uint64 { return b.word().Load() }
