package main

import (
	"sync"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/demo/report"
)

// The breaker is looked at so often that no state of the demonstration is missed: the shortest lasts as long as a probe.
const (
	lookEvery = 2 * time.Millisecond
	remember  = 1000 // changes; older ones are forgotten
)

// breakerWatch writes down when the breaker changes its state.
type breakerWatch struct {
	mu      sync.Mutex
	last    tidegate.BreakerState
	changes []report.Change
	done    chan struct{}
}

func watchBreaker(guard *tidegate.Guard) *breakerWatch {
	w := &breakerWatch{last: tidegate.BreakerClosed, done: make(chan struct{})}
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.done:
				return
			case now := <-tick.C:
				if stats, err := guard.Stats(); err == nil {
					w.see(now, stats.Breaker)
				}
			}
		}
	}()
	return w
}

func (w *breakerWatch) stop() { close(w.done) }

func (w *breakerWatch) see(now time.Time, state tidegate.BreakerState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if state == w.last || state == tidegate.BreakerDisabled {
		return
	}
	w.last = state
	w.changes = append(w.changes, report.Change{At: now, To: state.String()})
	w.changes = w.changes[max(0, len(w.changes)-remember):]
}

func (w *breakerWatch) list() []report.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]report.Change{}, w.changes...)
}
