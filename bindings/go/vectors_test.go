package tidegate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

// vectorRoot holds what core, the C interface and every binding must agree on.
const vectorRoot = "../../tests/vectors"

// vector is a sequence of calls on the virtual clock with what they must
// answer. A field that is missing is not checked.
type vector struct {
	Name    string          `json:"name"`
	Comment string          `json:"comment"`
	Rules   json.RawMessage `json:"rules"`
	StartNS uint64          `json:"start_ns"`
	Faults  bool            `json:"faults"`
	Guards  []string        `json:"guards"`
	Steps   []vectorStep    `json:"steps"`
}

type vectorStep struct {
	AtNS         *uint64           `json:"at_ns"`
	Op           string            `json:"op"`
	Comment      string            `json:"comment"`
	Guard        string            `json:"guard"`
	As           string            `json:"as"`
	Permit       string            `json:"permit"`
	Cost         uint64            `json:"cost"`
	Key          string            `json:"key"`
	TimeoutNS    uint64            `json:"timeout_ns"`
	RetryAfterNS *uint64           `json:"retry_after_ns"`
	Outcome      string            `json:"outcome"`
	Rules        json.RawMessage   `json:"rules"`
	Breaker      *string           `json:"breaker"`
	InFlight     *uint64           `json:"inflight"`
	Limit        *uint64           `json:"limit"`
	Calls        map[string]uint64 `json:"calls"`
	Histogram    string            `json:"histogram"`
	Values       []float64         `json:"values"`
	Q            float64           `json:"q"`
	Rel          float64           `json:"rel"`
	Counter      string            `json:"counter"`
	Labels       map[string]string `json:"labels"`
	N            uint64            `json:"n"`
	Value        *uint64           `json:"value"`
	State        string            `json:"state"`
	WaitNS       *uint64           `json:"wait_ns"`
	Limiter      string            `json:"limiter"`
	Reservation  string            `json:"reservation"`
	Algorithm    string            `json:"algorithm"`
	Rate         float64           `json:"rate"`
	PerNS        uint64            `json:"per_ns"`
	Burst        *uint64           `json:"burst"`
	MaxWaitNS    *uint64           `json:"max_wait_ns"`
	Buckets      uint32            `json:"buckets"`
	WarmUpNS     uint64            `json:"warm_up_ns"`
	ColdFactor   float64           `json:"cold_factor"`
	Tokens       float64           `json:"tokens"`
	Attributes   map[string]string `json:"attributes"`
	Reason       *uint64           `json:"reason"`
	Names        []string          `json:"names"`
	Name         string            `json:"name"`
	MaxRequests  uint32            `json:"max_requests"`
	IntervalNS   uint64            `json:"interval_ns"`
	PeriodNS     uint64            `json:"bucket_period_ns"`
	RefusedBy    *string           `json:"refused_by"`
	Ticket       string            `json:"ticket"`
	Ending       string            `json:"ending"`
	Counts       []uint32          `json:"counts"`
	Criticality  string            `json:"criticality"`
	Once         bool              `json:"once"`
	Retry        string            `json:"retry"`
	Hedge        string            `json:"hedge"`
	Retries      *uint64           `json:"retries"`
	Hedges       *uint64           `json:"hedges"`
	BudgetLeft   *uint64           `json:"budget_left"`
	Rejected     map[string]uint64 `json:"rejected"`
	Expect       json.RawMessage   `json:"expect"` // a status's name, or a quantile

	Level          *int              `json:"level"`
	CPU            float64           `json:"cpu"`
	Memory         float64           `json:"memory"`
	ShadowRejected map[string]uint64 `json:"shadow_rejected"`
}

func TestVectors(t *testing.T) {
	if !Available() {
		t.Skip("built without libtidegate")
	}
	ran := 0
	err := filepath.WalkDir(vectorRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		name, _ := filepath.Rel(vectorRoot, path)
		t.Run(name, func(t *testing.T) { runVector(t, path) })
		ran++
		return nil
	})
	if os.IsNotExist(err) {
		t.Skip("the vectors are not part of this copy")
	}
	if err != nil || ran == 0 {
		t.Fatalf("%d vectors, %v", ran, err)
	}
}

func runVector(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	options := []Option{WithVirtualClock(time.Duration(v.StartNS))}
	if v.Faults {
		options = append(options, WithFaults())
	}
	rt, err := Open(options...)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	run := &vectorRun{T: t, rt: rt, limiters: map[string]*vectorLimiter{}, reservations: map[string]*reservation{}, permits: map[string]*Permit{}, breakers: map[string]*countedRun{},
		tickets: map[string]counted.Ticket{}, retries: map[string]*retrying{}, hedges: map[string]*again{}}
	if v.Rules != nil {
		run.status(rt.ApplyRules(v.Rules), json.RawMessage(`"TG_OK"`))
	}
	for _, name := range v.Guards {
		run.guard(name)
	}
	for i, step := range v.Steps {
		run.where = i
		run.step(step)
	}
}

type vectorRun struct {
	*testing.T
	rt       *Runtime
	permits  map[string]*Permit
	breakers map[string]*countedRun
	tickets  map[string]counted.Ticket
	retries  map[string]*retrying
	hedges   map[string]*again
	where    int

	limiters     map[string]*vectorLimiter
	reservations map[string]*reservation
}

func (r *vectorRun) step(s vectorStep) {
	if s.AtNS != nil {
		r.status(r.rt.Clock().Set(time.Duration(*s.AtNS)), json.RawMessage(`"TG_OK"`))
	}
	ops := map[string]func(vectorStep){
		"enter": r.enter, "exit": r.exit, "rules": r.rules, "stats": r.stats,
		"record": r.record, "quantile": r.quantile, "count": r.count, "set_breaker": r.setBreaker,
		"load": r.load, "hottest": r.hottest,
		"limiter": r.limiter, "set_limiter": r.setLimiter, "take": r.take, "reserve": r.reserve,
		"cancel": r.cancelReserved, "tokens": r.tokens,
		"breaker": r.counted, "ask": r.ask, "end": r.end, "trip": r.trip, "counts": r.counts,
		"retry": r.retry, "retry_next": r.retryNext, "retry_abandon": r.retryAbandon,
		"hedge": r.hedge, "hedge_next": r.hedgeNext, "hedge_end": r.hedgeEnd,
	}
	op, ok := ops[s.Op]
	if !ok {
		r.Fatalf("step %d: no such op: %q", r.where, s.Op)
	}
	op(s)
}

// enter does not wait where the rules would have it wait: nobody would move
// the clock on.
func (r *vectorRun) enter(s vectorStep) {
	var opts []CallOption
	if s.TimeoutNS != 0 {
		opts = append(opts, WithTimeLimit(time.Duration(s.TimeoutNS)))
	}
	if s.Cost != 0 {
		opts = append(opts, WithCost(s.Cost))
	}
	opts = append(opts, criticalityOf(s)...)
	for name, value := range s.Attributes {
		opts = append(opts, WithAttribute(name, value))
	}
	p := &Permit{state: permitHeld}
	status := r.guard(s.Guard).admit(r.Context(), p, 0, append(opts, WithKey(s.Key)))
	r.status(statusError(status), s.Expect)
	if s.RetryAfterNS != nil && p.entry.retry != *s.RetryAfterNS {
		r.Errorf("step %d: retry after %d ns, want %d", r.where, p.entry.retry, *s.RetryAfterNS)
	}
	r.equal("wait", p.entry.wait, s.WaitNS)
	r.equal("reason", uint64(p.entry.reason), s.Reason)
	if s.As != "" {
		r.permits[s.As] = p
	}
}

func criticalityOf(s vectorStep) []CallOption {
	c := map[string]Criticality{"critical": Critical, "sheddable": Sheddable}[s.Criticality]
	if s.Level != nil {
		return []CallOption{WithCriticality(c, *s.Level)}
	}
	return []CallOption{WithCriticality(c)}
}

func (r *vectorRun) load(s vectorStep) { r.status(r.rt.SetSystemLoad(s.CPU, s.Memory), s.Expect) }

// about is what a retry or hedge says of its call.
func (r *vectorRun) about(s vectorStep) []CallOption {
	var opts []CallOption
	if s.TimeoutNS != 0 {
		opts = append(opts, WithTimeLimit(time.Duration(s.TimeoutNS)))
	}
	opts = append(opts, criticalityOf(s)...)
	if s.Once {
		opts = append(opts, WithOnce())
	}
	return opts
}

func (r *vectorRun) retry(s vectorStep) {
	retry, begun := r.guard(s.Guard).beginRetry(r.Context(), r.about(s))
	if !begun {
		r.Fatalf("step %d: no retry", r.where)
	}
	r.retries[s.As] = retry
}

func (r *vectorRun) retryNext(s vectorStep) {
	outcome, after := outcomeRefused, time.Duration(0)
	if s.Outcome != "refused" {
		outcome = r.outcome(s.Outcome)
	}
	if s.RetryAfterNS != nil {
		after = saturate(*s.RetryAfterNS)
	}
	retry := r.retries[s.Retry]
	retry.again(outcome, after)
	r.status(statusError(retry.call.status), s.Expect)
	r.equal("wait", retry.call.wait, s.WaitNS)
}

func (r *vectorRun) retryAbandon(s vectorStep) { r.retries[s.Retry].abandon() }

func (r *vectorRun) hedge(s vectorStep) {
	call, g := &again{}, r.guard(s.Guard)
	g.about(call, r.Context(), r.about(s))
	r.status(statusError(libHedgeBegin(call)), nil)
	r.hedges[s.As] = call
}

func (r *vectorRun) hedgeNext(s vectorStep) {
	call := r.hedges[s.Hedge]
	r.status(statusError(libHedgeNext(call)), s.Expect)
	r.equal("wait", call.wait, s.WaitNS)
}

func (r *vectorRun) hedgeEnd(s vectorStep) {
	call := r.hedges[s.Hedge]
	call.outcome = r.outcome(s.Outcome)
	r.status(statusError(libHedgeEnd(call)), s.Expect)
}

func (r *vectorRun) outcome(name string) Outcome {
	for outcome, known := range outcomeNames {
		if known == name {
			return Outcome(outcome)
		}
	}
	r.Fatalf("step %d: no outcome %q", r.where, name)
	return 0
}

func (r *vectorRun) exit(s vectorStep) {
	permit, ok := r.permits[s.Permit]
	if !ok {
		r.Fatalf("step %d: no permit %q", r.where, s.Permit)
	}
	for outcome, name := range outcomeNames {
		if name == s.Outcome {
			r.status(permit.Exit(Outcome(outcome)), s.Expect)
			return
		}
	}
	r.Fatalf("step %d: no outcome %q", r.where, s.Outcome)
}

func (r *vectorRun) rules(s vectorStep) { r.status(r.rt.ApplyRules(s.Rules), s.Expect) }

func (r *vectorRun) stats(s vectorStep) {
	got, err := r.guard(s.Guard).Stats()
	r.status(err, nil)
	if s.Breaker != nil && got.Breaker.String() != *s.Breaker {
		r.Errorf("step %d: breaker %s, want %s", r.where, got.Breaker, *s.Breaker)
	}
	r.equal("inflight", got.InFlight, s.InFlight)
	r.equal("limit", got.Limit, s.Limit)
	for name, want := range s.ShadowRejected {
		stage := StageNone
		for stage.String() != name {
			stage++
		}
		r.equal("shadow rejected "+name, got.ShadowRejected[stage], &want)
	}
	r.equal("retries", got.Retries, s.Retries)
	r.equal("hedges", got.Hedges, s.Hedges)
	r.equal("budget left", got.RetryBudget, s.BudgetLeft)
	for stage, name := range stageNames {
		if want, ok := s.Rejected[name]; ok {
			r.equal("rejected by "+name, got.Rejected[stage], &want)
		}
	}
	for name, want := range s.Calls {
		outcome := 0
		for outcomeNames[outcome] != name {
			outcome++
		}
		r.equal("calls "+name, got.Calls[outcome], &want)
	}
}

func (r *vectorRun) hottest(s vectorStep) {
	keys, err := r.guard(s.Guard).HottestKeys(int(s.Rate))
	r.status(err, s.Expect)
	for i, name := range s.Names {
		if i >= len(keys) || string(keys[i].Name) != name {
			r.Fatalf("step %d: hottest %v, want %v", r.where, keys, s.Names)
		}
	}
}

func (r *vectorRun) setBreaker(s vectorStep) {
	for state, name := range breakerNames {
		if name == s.State {
			r.status(r.guard(s.Guard).SetBreaker(BreakerState(state)), s.Expect)
			return
		}
	}
	r.Fatalf("step %d: no state %q", r.where, s.State)
}

func (r *vectorRun) record(s vectorStep) { r.histogram(s.Histogram).RecordAll(s.Values) }

func (r *vectorRun) quantile(s vectorStep) {
	var want float64
	if err := json.Unmarshal(s.Expect, &want); err != nil {
		r.Fatal(err)
	}
	got, err := r.histogram(s.Histogram).Quantile(s.Q)
	if err != nil || math.Abs(got-want) > s.Rel*math.Abs(want) {
		r.Errorf("step %d: quantile %g is %g, want %g within %g, %v", r.where, s.Q, got, want, s.Rel, err)
	}
}

func (r *vectorRun) count(s vectorStep) {
	var labels []Label
	for name, value := range s.Labels {
		labels = append(labels, Label{name, value})
	}
	counter, err := r.rt.Counter(Instrument{Name: s.Counter}, labels...)
	if err != nil {
		r.Fatal(err)
	}
	counter.Add(s.N)
	value, err := counter.Value()
	r.status(err, nil)
	r.equal("counter", value, s.Value)
}

func (r *vectorRun) guard(name string) *Guard {
	g, err := r.rt.Guard(name)
	if err != nil {
		r.Fatal(err)
	}
	return g
}

func (r *vectorRun) histogram(name string) *Histogram {
	h, err := r.rt.Histogram(Instrument{Name: name})
	if err != nil {
		r.Fatal(err)
	}
	return h
}

func (r *vectorRun) equal(what string, got uint64, want *uint64) {
	if want != nil && got != *want {
		r.Errorf("step %d: %s %d, want %d", r.where, what, got, *want)
	}
}

// status compares an error with a status's name; without one, it must be nil.
func (r *vectorRun) status(err error, expect json.RawMessage) {
	want := "TG_OK"
	if len(expect) > 0 {
		if e := json.Unmarshal(expect, &want); e != nil {
			r.Fatal(e)
		}
	}
	if got := nameOf(err); got != want {
		r.Errorf("step %d: %s, want %s: %v", r.where, got, want, err)
	}
}

func statusError(status Status) error { return check("enter", status) }

func nameOf(err error) string {
	var status Status
	if err != nil && !errors.As(err, &status) {
		return err.Error()
	}
	return status.Name()
}
