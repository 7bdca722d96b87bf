package main

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/tidegate/tidegate/demo/plan"
)

var (
	errFull   = errors.New("too many are waiting")
	errBroken = errors.New("the payment failed")
)

// pool is the workers and those who wait for one.
type pool struct {
	plan    plan.Plan
	workers chan struct{}
	inside  atomic.Int64
	begun   atomic.Pointer[time.Time]  // nil: the plan has not begun
	forced  atomic.Pointer[plan.Phase] // nil: by plan
	sleep   func(time.Duration)
}

func newPool(p plan.Plan) *pool {
	return &pool{plan: p, workers: make(chan struct{}, plan.Workers), sleep: time.Sleep}
}

func (p *pool) start() {
	now := time.Now()
	p.begun.Store(&now)
	p.forced.Store(nil)
}

func (p *pool) phase() plan.Phase {
	if forced := p.forced.Load(); forced != nil {
		return *forced
	}
	begun := p.begun.Load()
	if begun == nil {
		return p.plan[0]
	}
	return p.plan.At(time.Since(*begun))
}

// charge waits for a worker and has it do the work.
func (p *pool) charge() error {
	defer p.inside.Add(-1)
	if p.inside.Add(1) > plan.Workers+plan.Queue {
		return errFull
	}
	p.workers <- struct{}{}
	defer func() { <-p.workers }()
	phase := p.phase()
	p.sleep(phase.Service)
	if phase.Fails {
		return errBroken
	}
	return nil
}
