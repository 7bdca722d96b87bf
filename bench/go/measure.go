package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunk         = 64                   // operations between two looks at the stop flag
	warmUp        = 2_000                // operations before the clock starts
	longestWarmUp = 2 * time.Millisecond // what those may take
)

// betweenSteps is the length of the work between two calls: about 50 ns.
const betweenSteps = 26

// A plan says how to run a case.
type plan struct {
	threads int
	between bool
	time    time.Duration
}

// A loop calls its operation n times, each followed by that many steps of other work on x. Every case
// has its own loop, written out, so that no call through a function value is measured with it.
type loop func(n, steps int, x uint64) uint64

// A benchCase is one thing that can be measured. make gives each thread its loop, and runs on that thread.
type benchCase struct {
	Work string `json:"work"`
	Who  string `json:"who"`
	make func() loop
	// free says that the operation has other goroutines work for it: on a bound thread each change of goroutine would be
	// one of threads, which is not what a service sees.
	free bool
}

type span struct {
	start, end time.Time
	operations int
	x          uint64
}

// run gives nanoseconds an operation: wall time × threads / operations.
func (c benchCase) run(p plan) float64 {
	var stop atomic.Bool
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	spans := make([]span, p.threads)
	ready.Add(p.threads)
	for i := range spans {
		done.Go(func() { spans[i] = c.work(i, p.between, &stop, &ready, begin) })
	}
	ready.Wait()
	close(begin)
	time.Sleep(p.time)
	stop.Store(true)
	done.Wait()
	return nanosecondsEach(spans)
}

// work locks its goroutine to a thread and the thread to a core, unless the case is free. The thread is never unlocked, so it
// ends with the goroutine and its binding ends with it.
func (c benchCase) work(index int, between bool, stop *atomic.Bool, ready *sync.WaitGroup, begin <-chan struct{}) span {
	if !c.free {
		runtime.LockOSThread()
		pinToCore(index)
	}
	run, steps, x := c.make(), 0, uint64(1)
	if between {
		steps = betweenSteps
	}
	warm := time.Now()
	for done := 0; done < warmUp && time.Since(warm) < longestWarmUp; done += chunk {
		x = run(chunk, steps, x)
	}
	ready.Done()
	<-begin
	s := span{start: time.Now()}
	for !stop.Load() {
		x = run(chunk, steps, x)
		s.operations += chunk
	}
	s.end, s.x = time.Now(), x
	return s
}

func nanosecondsEach(spans []span) float64 {
	start, end, operations := spans[0].start, spans[0].end, 0
	for _, s := range spans {
		if s.start.Before(start) {
			start = s.start
		}
		if s.end.After(end) {
			end = s.end
		}
		operations += s.operations
	}
	return float64(end.Sub(start).Nanoseconds()) * float64(len(spans)) / float64(operations)
}

// spin is the work between two calls: four chains of steps that each need the one before, so that the
// processor is busy but not stalled. The Rust and C programs do the same.
func spin(x uint64, steps int) uint64 {
	a, b, c, d := x, x^1, x^2, x^3
	for range steps {
		a, b, c, d = mix(a), mix(b), mix(c), mix(d)
	}
	return a ^ b ^ c ^ d
}

func mix(x uint64) uint64 { return (x ^ (x >> 29)) * 0x9e3779b97f4a7c15 }
