//go:build cgo && linux && !tidegate_passthrough

package tidegate_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

func ExampleFallback() {
	rt, _ := tidegate.Open()
	defer rt.Close()
	_ = rt.ApplyRules([]byte(`{"version": 1, "guards": {"prices": {"rate": [{"limit": 1, "per": "1h", "burst": 1}]}}}`))
	prices, _ := rt.Guard("prices")

	price := func(ctx context.Context) (int, error) {
		return tidegate.Call(ctx, prices, func(context.Context) (int, error) { return 42, nil })
	}
	listed := func(context.Context, error) (int, error) { return 50, nil }
	for range 2 {
		fmt.Println(tidegate.Fallback(context.Background(), price, listed, tidegate.IfRefused))
	}
	// Output:
	// 42 <nil>
	// 50 <nil>
}

// A cache in front, so that fresh prices cost nothing and an old one stands in
// for an error; one call for all who ask at the same time; then the guard.
func ExampleResultCache() {
	rt, _ := tidegate.Open(tidegate.WithVirtualClock(0)) // not virtual in a program
	defer rt.Close()
	guard, _ := rt.Guard("prices")
	cache := tidegate.NewResultCache[string, int](tidegate.ResultCacheOptions[string]{
		Size: 10_000, Fresh: 10 * time.Second, Stale: time.Hour, Clock: rt.Clock(),
	})
	var asking tidegate.Collapse[string, int]
	answer, failing := 42, error(nil)

	price := func(ctx context.Context, item string) (int, error) {
		return cache.Do(ctx, item, func(ctx context.Context) (int, error) {
			price, _, err := asking.Do(ctx, item, func(ctx context.Context) (int, error) {
				return tidegate.Call(ctx, guard, func(context.Context) (int, error) { return answer, failing })
			})
			return price, err
		})
	}
	fmt.Println(price(context.Background(), "rope"))
	answer, failing = 0, errors.New("the price service is down")
	_ = rt.Clock().Advance(time.Minute)
	fmt.Println(price(context.Background(), "rope"))
	_ = rt.Clock().Advance(time.Hour)
	fmt.Println(price(context.Background(), "rope"))
	// Output:
	// 42 <nil>
	// 42 <nil>
	// 0 the price service is down
}

func ExampleQueue() {
	rt, _ := tidegate.Open()
	defer rt.Close()
	_ = rt.ApplyRules([]byte(`{"version": 1, "guards": {"search": {"concurrency": {"max": 1}}}}`))
	search, _ := rt.Guard("search")
	queue := tidegate.NewQueue(search, tidegate.QueueOptions{Interval: time.Minute})

	first, _ := queue.Enter(context.Background())
	second := make(chan error)
	go func() {
		second <- queue.Do(context.Background(), func(context.Context) error { return nil })
	}()
	_ = first.Exit(tidegate.Success) // lets the second in, whether it waits already or not
	fmt.Println(<-second)
	// Output:
	// <nil>
}
