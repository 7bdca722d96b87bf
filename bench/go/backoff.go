package main

import (
	"context"

	"github.com/cenkalti/backoff/v5"
)

// backoffCases retry at once, as the others do here; no other limit is changed.
func backoffCases() []benchCase {
	ctx := context.Background()
	return []benchCase{
		yesCase("retry", "cenkalti/backoff", func() bool {
			_, err := backoff.Retry(ctx, succeed, backoff.WithBackOff(&backoff.ZeroBackOff{}))
			return err == nil
		}),
		freely(eachCase("retry_decision", "cenkalti/backoff", func() func() bool {
			fn := failingOnce()
			operation := func() (int, error) { return 1, fn() }
			return func() bool {
				_, err := backoff.Retry(ctx, operation, backoff.WithBackOff(&backoff.ZeroBackOff{}))
				return err == nil
			}
		})),
	}
}
