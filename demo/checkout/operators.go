package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/demo/report"
)

const policyName = "tenant-tiers"

// forOperators is what only operators may ask for; it listens at an address of its own.
func forOperators(gate *tidegate.Runtime, guard *tidegate.Guard, watch *breakerWatch) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", gate.MetricsHandler())
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(stateOf(gate, guard, watch))
	})
	mux.HandleFunc("POST /rules", accept(func(_ *http.Request, document []byte) error {
		return gate.ApplyRules(document)
	}))
	mux.HandleFunc("POST /policy", accept(func(r *http.Request, wasm []byte) error {
		query := r.URL.Query()
		return gate.LoadPolicy(query.Get("name"), wasm, tidegate.PolicyOptions{Config: []byte(query.Get("config"))})
	}))
	return mux
}

// accept hands a request's body over and says what became of it.
func accept(apply func(*http.Request, []byte) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
		if err == nil {
			err = apply(r, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, "in force")
	}
}

func stateOf(gate *tidegate.Runtime, guard *tidegate.Guard, watch *breakerWatch) report.State {
	stats, _ := guard.Stats()
	state := report.State{
		Breaker: stats.Breaker.String(), BreakerChanges: watch.list(), InFlight: stats.InFlight, Limit: stats.Limit,
		Calls: map[string]uint64{}, Refused: map[string]uint64{}, Faults: map[string]uint64{},
	}
	for outcome, n := range stats.Calls {
		state.Calls[tidegate.Outcome(outcome).String()] = n
	}
	for stage, n := range stats.Rejected {
		if n > 0 {
			state.Refused[tidegate.Stage(stage).String()] = n
		}
	}
	for status, n := range gate.Faults() {
		state.Faults[status.Name()] = n
	}
	state.RulesVersion, _ = gate.RulesVersion()
	state.PolicyGeneration, _ = gate.PolicyGeneration(policyName)
	return state
}
