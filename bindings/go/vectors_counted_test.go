package tidegate

import (
	"slices"

	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

// countedRun is a counted breaker on the segment's words, by the mathematics
// that are written in Go.
type countedRun struct {
	counted.Breaker
	generation uint64
}

func (r *vectorRun) counted(s vectorStep) {
	rule := counted.NewRule(s.MaxRequests, s.IntervalNS, s.PeriodNS, s.TimeoutNS)
	words, now, err := counted.Resolve(r.rt, s.Name, rule)
	r.status(err, s.Expect)
	if err == nil {
		r.breakers[s.Name] = &countedRun{Breaker: counted.New(rule, words, now)}
	}
}

func (r *vectorRun) ask(s vectorStep) {
	ticket, answer, _ := r.breakers[s.Name].Ask()
	status, by := statusOK, "disabled"
	switch answer {
	case counted.IsOpen:
		status, by = ErrRefusedBreaker, "open"
	case counted.TooMany:
		status, by = ErrRefusedBreaker, "half_open"
	}
	r.status(check("ask", status), s.Expect)
	if s.RefusedBy != nil && *s.RefusedBy != by {
		r.Errorf("step %d: refused by %s, want %s", r.where, by, *s.RefusedBy)
	}
	r.tickets[s.As] = ticket
}

func (r *vectorRun) end(s vectorStep) {
	ending := counted.Ending(slices.Index([]string{"success", "failure", "excluded"}, s.Ending))
	r.breakers[s.Name].End(r.tickets[s.Ticket], nil, func(error) counted.Ending { return ending })
}

func (r *vectorRun) trip(s vectorStep) {
	breaker := r.breakers[s.Name]
	breaker.Trip(breaker.generation)
}

func (r *vectorRun) counts(s vectorStep) {
	breaker := r.breakers[s.Name]
	snapshot, _ := breaker.Snapshot(true)
	breaker.generation = snapshot.Generation
	if name := []string{"closed", "open", "half_open"}[snapshot.State]; s.State != "" && s.State != name {
		r.Errorf("step %d: %s, want %s", r.where, name, s.State)
	}
	c := snapshot.Counts
	got := []uint32{
		c.Requests, c.TotalSuccesses, c.TotalFailures, c.TotalExclusions, c.ConsecutiveSuccesses, c.ConsecutiveFailures,
	}
	if s.Counts != nil && !slices.Equal(got, s.Counts) {
		r.Errorf("step %d: counts %v, want %v", r.where, got, s.Counts)
	}
}
