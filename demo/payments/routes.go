package main

import (
	"errors"
	"fmt"
	"net/http"
)

func routes(p *pool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charge", p.answerCharge)
	mux.HandleFunc("POST /start", func(http.ResponseWriter, *http.Request) { p.start() })
	mux.HandleFunc("POST /phase", p.answerPhase)
	return mux
}

func (p *pool) answerCharge(w http.ResponseWriter, _ *http.Request) {
	err := p.charge()
	switch {
	case errors.Is(err, errFull):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		fmt.Fprintln(w, "charged")
	}
}

func (p *pool) answerPhase(w http.ResponseWriter, r *http.Request) {
	phase, ok := p.plan.Named(r.URL.Query().Get("name"))
	if !ok {
		http.Error(w, "no phase of this name", http.StatusNotFound)
		return
	}
	p.forced.Store(&phase)
	fmt.Fprintf(w, "%s: %s a call\n", phase.Name, phase.Service)
}
