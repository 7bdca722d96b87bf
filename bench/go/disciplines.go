package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// disciplineCases are the disciplines that a Go peer has too: limiters that stand alone, guards with one stage, and
// calls that are tried again or hedged.
func disciplineCases(rt *tidegate.Runtime) ([]benchCase, error) {
	var cases []benchCase
	for _, add := range []func(*tidegate.Runtime) ([]benchCase, error){tidegateLimiters, tidegateStages, tidegateAttempts} {
		found, err := add(rt)
		if err != nil {
			return nil, err
		}
		cases = append(cases, found...)
	}
	return cases, nil
}

// tidegateLimiters have the options of those of the Rust program.
func tidegateLimiters(rt *tidegate.Runtime) ([]benchCase, error) {
	var cases []benchCase
	for _, l := range []struct {
		work    string
		options tidegate.LimiterOptions
	}{
		{"pacing", tidegate.LimiterOptions{Algorithm: tidegate.Pacing, Limit: 1e10, MaxWait: 500 * time.Millisecond}},
		{"fixed_window", tidegate.LimiterOptions{Algorithm: tidegate.FixedWindow, Limit: 1e9}},
		{"sliding_counter", tidegate.LimiterOptions{Algorithm: tidegate.SlidingCounter, Limit: 4e6, Per: 10 * time.Millisecond}},
		{"sliding_window", tidegate.LimiterOptions{Algorithm: tidegate.SlidingWindow, Limit: 4e6, Per: 10 * time.Millisecond}},
		{"warm_up", tidegate.LimiterOptions{
			Algorithm: tidegate.WarmUp, Limit: 1.5e7, WarmUp: 10 * time.Millisecond, MaxWait: 15 * time.Second,
		}},
	} {
		limiter, err := rt.Limiter(l.work, l.options)
		if err != nil {
			return nil, err
		}
		cases = append(cases, yesCase(l.work, "tidegate-go", func() bool {
			_, err := limiter.Take(1)
			return err == nil
		}))
	}
	return cases, nil
}

// tidegateStages enter and exit.
func tidegateStages(rt *tidegate.Runtime) ([]benchCase, error) {
	var cases []benchCase
	for _, work := range []string{"concurrency", "aimd", "vegas", "gradient2", "shed", "breaker_slow", "breaker_count", "throttle", "system", "keyed"} {
		guard, err := rt.Guard("bench." + work)
		if err != nil {
			return nil, err
		}
		switch work {
		case "shed":
			cases = append(cases, yesCase(work, "tidegate-go", func() bool {
				return pass(guard, tidegate.WithCriticality(tidegate.Sheddable))
			}))
		case "keyed":
			cases = append(cases, eachCase(work, "tidegate-go", func() func() bool {
				keys := newKeys()
				return func() bool { return pass(guard, tidegate.WithKey(keys.next())) }
			}))
		case "system":
			cases = append(cases, eachCase(work, "tidegate-go", func() func() bool {
				// Forgotten after 10 s.
				_ = rt.SetSystemLoad(0.5, 0.5)
				return func() bool { return pass(guard) }
			}))
		default:
			cases = append(cases, yesCase(work, "tidegate-go", func() bool { return pass(guard) }))
		}
	}
	return cases, nil
}

func pass(guard *tidegate.Guard, options ...tidegate.CallOption) bool {
	permit, err := guard.Enter(context.Background(), options...)
	return err == nil && permit.Exit(tidegate.Success) == nil
}

// tidegateAttempts are a function's calls: with retries, hedges, a time limit.
func tidegateAttempts(rt *tidegate.Runtime) ([]benchCase, error) {
	ctx, ok := context.Background(), func(context.Context) error { return nil }
	retry, err := rt.Guard("bench.retry_at_once")
	if err != nil {
		return nil, err
	}
	hedge, err := rt.Guard("bench.hedge")
	if err != nil {
		return nil, err
	}
	deadline, err := rt.Guard("bench.deadline")
	if err != nil {
		return nil, err
	}
	return []benchCase{
		yesCase("retry", "tidegate-go", func() bool { return retry.Retry(ctx, ok) == nil }),
		freely(eachCase("retry_decision", "tidegate-go", func() func() bool {
			fn := failingOnce()
			return func() bool { return retry.Retry(ctx, func(context.Context) error { return fn() }) == nil }
		})),
		freely(yesCase("hedge", "tidegate-go", func() bool { return hedge.Hedge(ctx, ok) == nil })),
		yesCase("deadline", "tidegate-go", func() bool {
			return deadline.Do(ctx, ok, tidegate.WithTimeLimit(time.Second)) == nil
		}),
	}, nil
}

// failingOnce gives a function whose every second call fails, so that each call that is tried again fails once.
func failingOnce() func() error {
	again := false
	return func() error {
		if again = !again; again {
			return errRefused
		}
		return nil
	}
}

// keys are known keys of 16 bytes, in an order by chance; its memory is a thread's own.
type keys struct {
	all   [1000]string
	state uint64
}

func newKeys() *keys {
	k := &keys{state: 1}
	for i := range k.all {
		k.all[i] = string(binary.LittleEndian.AppendUint64([]byte(fmt.Sprintf("key %04d", i)), mix(uint64(i+1))))
	}
	return k
}

func (k *keys) next() string {
	k.state = k.state*0x5851f42d4c957f2d + 0x14057b7ef767814f
	return k.all[(k.state>>32)*uint64(len(k.all))>>32]
}
