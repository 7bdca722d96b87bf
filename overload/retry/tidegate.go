package retry

import (
	"context"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// The waits of the others; each between half as long and whole, so that they meet a little sooner.
const rules = `{"version": 1, "guards": {"client": {"retry": {
	"max_attempts": 3, "retry_on": ["failure"],
	"backoff": {"base": "75ms", "max": "1s", "factor": 2, "jitter": "equal"},
	"budget": {"ratio": 0.05, "min_per_sec": 1}}}}}`

var own = Kind{"tidegate budget", "Tidegate's retries with its default budget: a retry for each 20 calls, and one a second", open}

type guarded struct {
	runtime *tidegate.Runtime
	guard   *tidegate.Guard
}

func open() (Policy, error) { return openWith(rules) }

func openWith(rules string) (Policy, error) {
	runtime, err := tidegate.Open()
	if err != nil {
		return nil, err
	}
	p := &guarded{runtime: runtime}
	if err = runtime.ApplyRules([]byte(rules)); err == nil {
		p.guard, err = runtime.Guard("client")
	}
	if err != nil {
		_ = runtime.Close()
		return nil, err
	}
	return p, nil
}

func (p *guarded) Do(ctx context.Context, attempt func() error) error {
	return p.guard.Retry(ctx, func(context.Context) error { return attempt() })
}

func (p *guarded) Close() error { return p.runtime.Close() }
