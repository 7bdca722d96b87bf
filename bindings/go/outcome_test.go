package tidegate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

func TestClassify(t *testing.T) {
	here := context.Background()
	gone, leave := context.WithCancel(here)
	leave()
	plain := errors.New("plain")
	for _, row := range []struct {
		name string
		ctx  context.Context
		err  error
		want tidegate.Outcome
	}{
		{"nil", here, nil, tidegate.Success},
		{"nil, caller gone", gone, nil, tidegate.Success},
		{"plain", here, plain, tidegate.Failure},
		{"plain, caller gone", gone, plain, tidegate.Failure},
		{"cancelled by the caller", gone, fmt.Errorf("read: %w", context.Canceled), tidegate.Cancelled},
		{"cancelled by the callee", here, context.Canceled, tidegate.Failure},
		{"deadline", here, fmt.Errorf("read: %w", context.DeadlineExceeded), tidegate.TimedOut},
		{"i/o timeout", here, fmt.Errorf("read: %w", os.ErrDeadlineExceeded), tidegate.TimedOut},
		{"marked", here, tidegate.WithOutcome(plain, tidegate.Overloaded), tidegate.Overloaded},
		{"marked and wrapped", gone, fmt.Errorf("a: %w", tidegate.WithOutcome(context.Canceled, tidegate.Ignored)), tidegate.Ignored},
	} {
		if got := tidegate.Classify(row.ctx, row.err); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}

func TestMarkKeepsTheError(t *testing.T) {
	marked := tidegate.WithOutcome(errBackend, tidegate.Ignored)
	mustBe(t, marked, errBackend)
	if marked.Error() != errBackend.Error() || tidegate.WithOutcome(nil, tidegate.Ignored) != nil {
		t.Fatal("the mark changes the error")
	}
}

func TestClassifierIsReplacedForACallAndForARuntime(t *testing.T) {
	always := func(o tidegate.Outcome) tidegate.CallOption {
		return tidegate.WithClassifier(func(context.Context, error) tidegate.Outcome { return o })
	}
	g := guard(t, open(t, always(tidegate.Ignored)), "g")
	must(t, g.Do(t.Context(), succeed))
	must(t, g.Do(t.Context(), succeed, always(tidegate.Overloaded)))
	must(t, g.Do(t.Context(), succeed, tidegate.WithClassifier(nil)))
	s := stats(t, g)
	if s.Calls[tidegate.Ignored] != 2 || s.Calls[tidegate.Overloaded] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestEveryOutcomeIsCountedUnderItsName(t *testing.T) {
	g := guard(t, open(t), "g")
	for o := tidegate.Success; o <= tidegate.Ignored; o++ {
		permit, err := g.Enter(t.Context())
		must(t, err)
		must(t, permit.Exit(o))
	}
	if s := stats(t, g); s.Calls != [6]uint64{1, 1, 1, 1, 1, 1} || s.Latency.Count != 5 {
		t.Fatalf("%+v", s)
	}
}
