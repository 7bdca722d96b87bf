package retry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/budget"
)

var errNo = errors.New("no")

// impatient are the policies with no wait to speak of.
func impatient(t *testing.T) map[string]Policy {
	t.Helper()
	const wait = time.Nanosecond
	return map[string]Policy{
		"plain": of(retries(wait)), "budgeted": of(retries(wait).WithBudget(budget.New())), "tidegate": ownImpatient(t),
	}
}

// ownImpatient is Tidegate's; its budget begins with room for ten retries.
func ownImpatient(t *testing.T) Policy {
	t.Helper()
	policy, err := openWith(strings.NewReplacer("75ms", "1us", "1s", "1us").Replace(rules))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := policy.Close(); err != nil {
			t.Error(err)
		}
	})
	return policy
}

func TestACallThatSucceedsIsMadeOnce(t *testing.T) {
	for name, policy := range impatient(t) {
		n := 0
		err := policy.Do(context.Background(), func() error { n++; return nil })
		if n != 1 || err != nil {
			t.Errorf("%s: %d attempts, %v", name, n, err)
		}
	}
}

// A budget has room for the retries of one call; both give up after the last attempt.
func TestACallThatFailsIsMadeThreeTimes(t *testing.T) {
	for name, policy := range impatient(t) {
		n := 0
		err := policy.Do(context.Background(), func() error { n++; return errNo })
		if n != Attempts || err == nil {
			t.Errorf("%s: %d attempts, %v", name, n, err)
		}
	}
}

func TestWhoIsInterruptedTriesNoMore(t *testing.T) {
	for name, policy := range impatient(t) {
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		_ = policy.Do(ctx, func() error { n++; cancel(); return errNo })
		if n != 1 {
			t.Errorf("%s: %d attempts", name, n)
		}
	}
}

// While as many calls are under way as a budget looks at, no more than a fifth of the attempts, or three, are retries.
func TestABudgetRefusesRetries(t *testing.T) {
	const calls = 100
	policy := of(retries(time.Nanosecond).WithBudget(budget.New()))
	first, again, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	for range calls {
		go func() {
			n := 0
			ended <- policy.Do(context.Background(), func() error {
				if n++; n == 1 {
					<-first // so that many are under way together
				} else {
					<-again // and the retries until no call may make one
				}
				return errNo
			})
		}()
	}
	close(first)
	refused := 0
	for range calls / 2 {
		if errors.Is(<-ended, budget.ErrExceeded) {
			refused++
		}
	}
	close(again)
	for range calls / 2 {
		<-ended
	}
	if refused != calls/2 {
		t.Errorf("%d of the first %d calls that ended were refused a retry", refused, calls/2)
	}
}
