// Package service is what is overloaded: a server whose capacity is a pool of workers, with a bounded queue in front.
package service

import (
	"sync"
	"time"
)

// Pool is workers that each do one call at a time, and a queue, first in, first out, for the calls that wait for one.
//
// Work takes time and no processor, so nothing needs to run: when a call comes, the first worker that will be free takes
// it, and it is known then when it will be done (Kiefer and Wolfowitz, 1955). So the capacity is workers / mean time
// exactly, also where the machine's timers are late.
type Pool struct {
	mutex  sync.Mutex
	times  *Times
	free   []time.Duration // by worker: when it is free
	starts []time.Duration // of calls that waited when last looked at, earliest first
	room   int             // in the queue
}

// NewPool makes a pool of idle workers.
func NewPool(workers, queue int, times *Times) *Pool {
	return &Pool{times: times, free: make([]time.Duration, workers), room: queue}
}

// Take gives a call to the pool and says when it will be done; false: the queue is full. Times count from any moment
// that all calls agree on.
func (p *Pool) Take(now time.Duration) (done time.Duration, ok bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	worker := p.first()
	start := max(now, p.free[worker])
	if p.waiting(now) >= p.room && start > now {
		return 0, false
	}
	if start > now {
		p.starts = append(p.starts, start)
	}
	p.free[worker] = start + p.times.Next()
	return p.free[worker], true
}

// Stall makes the workers take up nothing until then: an outage. Calls that were taken before are done in their time.
func (p *Pool) Stall(until time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for worker := range p.free {
		p.free[worker] = max(p.free[worker], until)
	}
}

func (p *Pool) first() (worker int) {
	for i, free := range p.free {
		if free < p.free[worker] {
			worker = i
		}
	}
	return worker
}

// waiting is how many calls are in the queue; calls start in the order in which they came.
func (p *Pool) waiting(now time.Duration) int {
	started := 0
	for started < len(p.starts) && p.starts[started] <= now {
		started++
	}
	p.starts = p.starts[started:]
	return len(p.starts)
}
