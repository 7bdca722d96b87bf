package tidegate

import (
	"container/list"
	"time"
)

// waitline is the order in which callers wait and how long each one may: a
// plain structure that is told the time and knows no lock, clock or guard.
//
// While the line has been empty at some moment of the last interval, it is a
// buffer that does its work: the oldest is next, and a newcomer may wait for an
// interval. A line that has stood for longer than that is no buffer but a delay
// that everybody pays (the standing queue of Nichols and Jacobson, "Controlling
// Queue Delay", ACM Queue 2012): newcomers may wait for the target only, and the
// newest is next, whose caller is the likeliest to be still there. Both rules
// are those of Maurer, "Fail at Scale", ACM Queue 2015.
type waitline struct {
	target   time.Duration
	interval time.Duration
	most     int

	waiting   list.List     // of *waiter, oldest first; those at their turn are still in it
	lastEmpty time.Duration // the last moment without a waiter, while there are some
}

// waiter is a caller in the line.
type waiter struct {
	until    time.Duration // its longest wait ends then
	turn     chan bool     // true: its turn; false: shed for a newcomer
	trying   bool          // it is its turn
	polled   bool          // its turn came by the poll: there may be more places
	admitted bool
	element  *list.Element
}

func (l *waitline) len() int { return l.waiting.Len() }

// stands says whether the line has not been empty for more than an interval.
func (l *waitline) stands(now time.Duration) bool {
	return l.len() > 0 && now-l.lastEmpty > l.interval
}

// longestWait is how long a newcomer may wait.
func (l *waitline) longestWait(now time.Duration) time.Duration {
	if l.stands(now) {
		return l.target
	}
	return l.interval
}

// join puts a newcomer into the line. A full line refuses it; one that stands
// sheds its oldest for it.
func (l *waitline) join(w *waiter, now time.Duration) (shed *waiter, ok bool) {
	if l.len() >= l.most {
		if !l.stands(now) {
			return nil, false
		}
		if shed = l.first(l.waiting.Front(), (*list.Element).Next); shed == nil {
			return nil, false
		}
	}
	if l.len() == 0 {
		l.lastEmpty = now
	}
	w.until = now + l.longestWait(now)
	w.element = l.waiting.PushBack(w)
	if shed != nil {
		l.leave(shed)
	}
	return shed, true
}

// next is whose turn it is; nil when nobody waits who is not trying already.
// Those whose time is up are passed over: they are about to leave.
func (l *waitline) next(now time.Duration) *waiter {
	from, step := l.waiting.Front(), (*list.Element).Next
	if l.stands(now) {
		from, step = l.waiting.Back(), (*list.Element).Prev
	}
	for w := l.first(from, step); w != nil; w = l.first(step(w.element), step) {
		if w.until > now {
			w.trying = true
			return w
		}
	}
	return nil
}

// first is the first waiter from an element on that is not trying.
func (l *waitline) first(from *list.Element, step func(*list.Element) *list.Element) *waiter {
	for e := from; e != nil; e = step(e) {
		if w := e.Value.(*waiter); !w.trying {
			return w
		}
	}
	return nil
}

// leave takes a waiter out, wherever it stands; twice is harmless.
func (l *waitline) leave(w *waiter) {
	if w.element != nil {
		l.waiting.Remove(w.element)
		w.element = nil
	}
}
