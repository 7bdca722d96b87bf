// Package report is what checkout tells about its guard: the JSON of GET /state.
package report

import "time"

// State is the guard's figures.
type State struct {
	Breaker          string            `json:"breaker"`
	BreakerChanges   []Change          `json:"breaker_changes"`
	InFlight         uint64            `json:"in_flight"`
	Limit            uint64            `json:"limit"`
	Calls            map[string]uint64 `json:"calls"`   // by outcome
	Refused          map[string]uint64 `json:"refused"` // by stage
	Faults           map[string]uint64 `json:"faults"`  // of the library, by status
	RulesVersion     uint64            `json:"rules_version"`
	PolicyGeneration uint64            `json:"policy_generation"`
}

// Change is one change of the breaker's state.
type Change struct {
	At time.Time `json:"at"`
	To string    `json:"to"`
}

// Changes counts the changes to a state.
func (s State) Changes(to string) (n int) {
	for _, change := range s.BreakerChanges {
		if change.To == to {
			n++
		}
	}
	return n
}
