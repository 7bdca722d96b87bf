package retry

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// Waits between attempts, each half as much longer or shorter at random.
const (
	firstWait   = 50 * time.Millisecond
	longestWait = time.Second
	jitter      = 0.5
)

var (
	plain = Kind{"no budget", "failsafe-go's retries, without a budget", func() (Policy, error) {
		return of(retries(firstWait)), nil
	}}
	budgeted = Kind{"failsafe-go budget", "the same with failsafe-go's budget, its defaults: a fifth of those in flight", func() (Policy, error) {
		return of(retries(firstWait).WithBudget(budget.New())), nil
	}}
)

func retries(firstWait time.Duration) retrypolicy.Builder[any] {
	return retrypolicy.NewBuilder[any]().WithMaxAttempts(Attempts).
		WithBackoff(firstWait, longestWait).WithJitterFactor(jitter)
}

func of(builder retrypolicy.Builder[any]) Policy {
	return &failsafePolicy{failsafe.With[any](builder.Build())}
}

type failsafePolicy struct{ executor failsafe.Executor[any] }

func (p *failsafePolicy) Do(ctx context.Context, attempt func() error) error {
	return p.executor.WithContext(ctx).Run(attempt)
}

func (p *failsafePolicy) Close() error { return nil }
