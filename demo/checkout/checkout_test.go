package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

func TestEachEndHasItsAnswer(t *testing.T) {
	refused := &tidegate.RefusedError{Status: tidegate.ErrRefusedPolicy, Stage: tidegate.StagePolicy, Reason: 2}
	for name, c := range map[string]struct {
		err    error
		status int
		stage  string
	}{
		"paid":    {nil, 200, ""},
		"refused": {fmt.Errorf("charge: %w", refused), 503, "policy"},
		"timeout": {fmt.Errorf("charge: %w", context.DeadlineExceeded), 504, ""},
		"failed":  {statusError(500), 502, ""},
	} {
		got := httptest.NewRecorder()
		answer(got, c.err)
		if got.Code != c.status || got.Header().Get("Refused-By") != c.stage {
			t.Errorf("%s: %d %v", name, got.Code, got.Header())
		}
	}
}

func TestTheTierComesFromItsHeader(t *testing.T) {
	var tier string
	handler := checkout(func(_ context.Context, given string) error {
		tier = given
		return nil
	})
	request := httptest.NewRequest(http.MethodPost, "/checkout", nil)
	request.Header.Set("Tier", "premium")
	handler.ServeHTTP(httptest.NewRecorder(), request)
	if tier != "premium" {
		t.Errorf("tier %q", tier)
	}
}

func TestWhatPaymentsAnswersIsJudged(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer server.Close()
	client := newPayments(server.URL)
	for code, want := range map[int]tidegate.Outcome{
		200: tidegate.Success, 503: tidegate.Overloaded, 500: tidegate.Failure,
	} {
		status = code
		if got := tidegate.Classify(context.Background(), client.charge(context.Background())); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}

func TestAPlainCallEndsAtItsDeadline(t *testing.T) {
	left := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-left }))
	defer server.Close()
	defer close(left)
	ctx, cancel := context.WithTimeout(context.Background(), 1)
	defer cancel()
	if err := plain(newPayments(server.URL))(ctx, "free"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
