package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/tidegate/tidegate/demo/load"
	"github.com/tidegate/tidegate/demo/plan"
	"github.com/tidegate/tidegate/demo/report"
	"github.com/tidegate/tidegate/demo/rules"
	"github.com/tidegate/tidegate/demo/tally"
)

// scene is one run: both services, the load, and what is changed meanwhile.
type scene struct {
	options  *options
	title    string
	guarded  bool
	payments *child
	checkout *child
	calls    []load.Arrival
	begin    time.Time
	tally    tally.Tally
	changes  []change
}

// change is something that an operator did while the load ran. Times count from the start of the run.
type change struct {
	Name           string
	Sent, Answered time.Duration
}

// result is what a run came to.
type result struct {
	Calls    []tally.Call
	Figures  tally.Figures
	Begin    time.Time
	Changes  []change
	State    report.State // of the guard, at the end
	Metrics  []byte       // as scraped at the end
	Survived bool         // both services live, and checkout answers
}

// play does a run. The services are left running: see stop.
func (s *scene) play(ctx context.Context) (*result, error) {
	if err := s.start(); err != nil {
		return nil, err
	}
	if err := post(s.payments.addresses["payments"]+"/start", nil); err != nil {
		return nil, err
	}
	s.begin = time.Now()
	if err := s.runLoad(ctx); err != nil {
		return nil, err
	}
	return s.result()
}

func (s *scene) start() (err error) {
	phases, err := json.Marshal(s.options.plan)
	if err != nil {
		return err
	}
	s.payments, err = start(s.options.program("payments"), "payments", "-plan", string(phases))
	if err != nil {
		return err
	}
	gate := map[bool]string{true: "on", false: "off"}[s.guarded]
	s.checkout, err = start(s.options.program("checkout"), "checkout",
		"-tidegate="+gate, "-payments", s.payments.addresses["payments"])
	if err != nil || !s.guarded {
		return err
	}
	return errors.Join(s.setRules(rules.First), s.setPolicy("tenant-tiers-c"))
}

func (s *scene) stop() {
	s.checkout.stop()
	s.payments.stop()
}

func (s *scene) operators() string { return s.checkout.addresses["operators"] }

func (s *scene) setRules(document []byte) error { return post(s.operators()+"/rules", document) }

func (s *scene) setPolicy(file string) error {
	wasm, err := s.options.policy(file)
	if err != nil {
		return err
	}
	query := url.Values{"name": {"tenant-tiers"}, "config": {tiersConfig}}
	return post(s.operators()+"/policy?"+query.Encode(), wasm)
}

// tiersConfig has free tenants refused from 75 % of any limit on, standard ones from 90 %.
const tiersConfig = `{"free_above": 750, "standard_above": 900, "retry_after_ms": 1000}`

// runLoad makes the calls, changes things meanwhile and shows how it goes.
func (s *scene) runLoad(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	loaded, changed := make(chan struct{}), make(chan error, 1)
	go func() {
		load.Run(ctx, s.checkout.addresses["checkout"]+"/checkout", s.calls, s.begin, &s.tally)
		close(loaded)
	}()
	go func() { changed <- s.change(ctx) }()
	err := s.watch(ctx, loaded)
	if err != nil {
		cancel()
		s.stop() // so that no call waits any longer
	}
	<-loaded
	cancel()
	return errors.Join(err, <-changed)
}

// change changes a rule while payments is healthy, and swaps the policy while it is slow and the policy busy refusing.
func (s *scene) change(ctx context.Context) error {
	if !s.guarded {
		return nil
	}
	p := s.options.plan
	raise := func() error { return s.setRules(rules.Raised) }
	swap := func() error { return s.setPolicy("tenant-tiers-rust") }
	if err := s.at(ctx, p[0].For/2, ruleChange, raise); err != nil {
		return err
	}
	return s.at(ctx, p.Start("slow")+p[1].For/2, policySwap, swap)
}

const (
	ruleChange = "rule: 400/s → 1000/s"
	policySwap = "policy: C → Rust"
)

func (s *scene) at(ctx context.Context, when time.Duration, name string, do func() error) error {
	select {
	case <-time.After(time.Until(s.begin.Add(when))):
	case <-ctx.Done():
		return nil
	}
	sent := time.Since(s.begin)
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.changes = append(s.changes, change{name, sent, time.Since(s.begin)})
	return nil
}

func (s *scene) result() (*result, error) {
	r := &result{Calls: s.tally.Calls(), Begin: s.begin, Changes: s.changes}
	r.Figures = tally.Sum(r.Calls)
	r.Survived = s.payments.lives() && s.checkout.lives()
	if !s.guarded {
		return r, nil
	}
	var err, err2 error
	r.State, err = stateOf(s.operators())
	r.Metrics, err2 = get(s.operators() + "/metrics")
	return r, errors.Join(err, err2)
}

// options are what the command line says.
type options struct {
	plan     plan.Plan
	programs string // folder of the built programs
	policies string // folder of the built policies
	out      string // folder to write into
	keep     bool
}

func (o *options) program(name string) string { return filepath.Join(o.programs, name) }
