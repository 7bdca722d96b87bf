package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidegate/tidegate/demo/plan"
)

func TestWorkersAndQueueAreBounded(t *testing.T) {
	p := newPool(plan.Full())
	busy, done := make(chan struct{}), make(chan struct{})
	p.sleep = func(time.Duration) {
		busy <- struct{}{}
		<-done
	}
	results := make(chan error)
	for range plan.Workers {
		go func() { results <- p.charge() }()
		<-busy
	}
	p.inside.Add(plan.Queue) // the queue is full
	if err := p.charge(); !errors.Is(err, errFull) {
		t.Errorf("one too many: %v", err)
	}
	p.inside.Add(-plan.Queue)
	close(done)
	for range plan.Workers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if left := p.inside.Load(); left != 0 {
		t.Errorf("%d are still inside", left)
	}
}

func TestAPhaseByHandStays(t *testing.T) {
	p := newPool(plan.Full())
	p.sleep = func(time.Duration) {}
	handler := routes(p)
	ask := func(path string) int {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, path, nil))
		return answer.Code
	}
	for _, step := range []struct {
		path string
		code int
	}{
		{"/charge", 200}, {"/phase?name=failing", 200}, {"/charge", 500},
		{"/phase?name=asleep", 404}, {"/charge", 500}, {"/start", 200}, {"/charge", 200},
	} {
		if got := ask(step.path); got != step.code {
			t.Errorf("%s: %d, want %d", step.path, got, step.code)
		}
	}
}
