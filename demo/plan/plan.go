// Package plan says how payments behaves over the time of a run.
package plan

import "time"

// Workers is how many calls payments works on at once.
const Workers = 16

// Queue is how many more may wait for a worker; what comes on top is turned away.
const Queue = 1500

// Phase is a time in which payments behaves in one way.
type Phase struct {
	Name    string        `json:"name"`
	For     time.Duration `json:"for"`
	Service time.Duration `json:"service"` // how long a worker needs for a call
	Fails   bool          `json:"fails"`   // and answers it with an error
}

// Capacity is how many calls a second payments can answer well.
func (p Phase) Capacity() float64 {
	if p.Fails {
		return 0
	}
	return Workers / p.Service.Seconds()
}

// Plan is one phase after the other; the last one stays.
type Plan []Phase

// Full is the plan of the demonstration.
func Full() Plan {
	return Plan{
		{Name: "healthy", For: 5 * time.Second, Service: 20 * time.Millisecond},
		{Name: "slow", For: 6 * time.Second, Service: 80 * time.Millisecond},
		{Name: "failing", For: 5 * time.Second, Service: 100 * time.Millisecond, Fails: true},
		{Name: "recovered", For: 7 * time.Second, Service: 20 * time.Millisecond},
	}
}

// Short is the same story in a third of the time, for a test.
func Short() Plan {
	short := Full()
	for i := range short {
		short[i].For /= 3
	}
	return short
}

// At is the phase at a time after the start.
func (p Plan) At(elapsed time.Duration) Phase {
	for _, phase := range p {
		if elapsed < phase.For {
			return phase
		}
		elapsed -= phase.For
	}
	return p[len(p)-1]
}

// Named finds a phase by its name.
func (p Plan) Named(name string) (Phase, bool) {
	for _, phase := range p {
		if phase.Name == name {
			return phase, true
		}
	}
	return Phase{}, false
}

// Start is when the phase of this name begins.
func (p Plan) Start(name string) time.Duration {
	var at time.Duration
	for _, phase := range p {
		if phase.Name == name {
			break
		}
		at += phase.For
	}
	return at
}

// Total is how long all phases take.
func (p Plan) Total() time.Duration {
	var sum time.Duration
	for _, phase := range p {
		sum += phase.For
	}
	return sum
}

// Servable is how many calls payments can answer well during the plan, of those that come at this rate a second.
func (p Plan) Servable(rate float64) float64 {
	var sum float64
	for _, phase := range p {
		sum += min(rate, phase.Capacity()) * phase.For.Seconds()
	}
	return sum
}
