package main

import (
	"fmt"
	"maps"
)

// expectation is something that has to be so after the runs.
type expectation struct {
	what string
	met  bool
	got  string
}

// expectations of both runs; verdict is promtool's.
func expectations(without, with *result, raise, swap blame, verdict string, clean bool) []expectation {
	state, figures := with.State, with.Figures
	opened, closed := state.Changes("open"), state.Changes("closed")
	refusedInAll := uint64(figures.Refused)
	return []expectation{
		{"both services survived", without.Survived && with.Survived, ""},
		{"the breaker opened, and closed again", opened > 0 && closed > 0 && state.Breaker == "closed",
			fmt.Sprintf("opened %d ×, closed %d ×, now %s", opened, closed, state.Breaker)},
		{"the policy and the breaker refused calls", figures.Stages["policy"] > 0 && figures.Stages["breaker"] > 0,
			fmt.Sprint(figures.Stages)},
		{"more was answered in time than without", figures.InTime > without.Figures.InTime,
			fmt.Sprintf("%d and %d", figures.InTime, without.Figures.InTime)},
		{"the rule was changed", state.RulesVersion == 2, fmt.Sprintf("version %d", state.RulesVersion)},
		{"no call was refused or lost because of that", raise.total() == 0, fmt.Sprintf("%+v", raise)},
		{"the policy was swapped", state.PolicyGeneration == 2, fmt.Sprintf("generation %d", state.PolicyGeneration)},
		{"no call was refused or lost because of that", swap.total() == 0, fmt.Sprintf("%+v", swap)},
		{"callers and guard count the same refusals", maps.Equal(counts(figures.Stages), state.Refused),
			fmt.Sprintf("%v and %v", figures.Stages, state.Refused)},
		{"the metrics say so too", uint64(sumOf(string(with.Metrics), "tidegate_guard_rejected_total")) == refusedInAll,
			fmt.Sprintf("%v and %v", sumOf(string(with.Metrics), "tidegate_guard_rejected_total"), refusedInAll)},
		{"no permit is in flight at the end", state.InFlight == 0, fmt.Sprint(state.InFlight)},
		{"the library had no fault", len(state.Faults) == 0, fmt.Sprint(state.Faults)},
		{"promtool finds the metrics clean", clean, verdict},
	}
}

func counts(stages map[string]int) map[string]uint64 {
	sums := map[string]uint64{}
	for stage, n := range stages {
		sums[stage] = uint64(n)
	}
	return sums
}

// unmet prints what was not met, and how many were not.
func unmet(all []expectation) (n int) {
	for _, e := range all {
		if !e.met {
			fmt.Printf("NOT MET: %s: %s\n", e.what, e.got)
			n++
		}
	}
	fmt.Printf("\nexpectations: %d passed, %d failed\n", len(all)-n, n)
	return n
}
