package tidegate_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

type prices = tidegate.ResultCache[string, string]

// tenAndSixty keeps results fresh for ten seconds and stale for sixty more.
func tenAndSixty(t *testing.T) (*prices, *tidegate.Clock) {
	clock := openVirtual(t).Clock()
	return tidegate.NewResultCache[string, string](tidegate.ResultCacheOptions[string]{
		Fresh: 10 * time.Second, Stale: time.Minute, Clock: clock,
	}), clock
}

func mustGive(t *testing.T, c *prices, load func(context.Context) (string, error), want string) {
	t.Helper()
	value, err := c.Do(t.Context(), "k", load)
	must(t, err)
	if value != want {
		t.Fatalf("got %q, want %q", value, want)
	}
}

func TestFreshResultIsGivenWithoutACall(t *testing.T) {
	c, clock := tenAndSixty(t)
	mustGive(t, c, gives("one", nil), "one")
	must(t, clock.Advance(10*time.Second-1))
	mustGive(t, c, gives("two", nil), "one")
	must(t, clock.Advance(1))
	mustGive(t, c, gives("two", nil), "two")
}

func TestStaleResultStandsInForAnErrorUntilItIsTooOld(t *testing.T) {
	c, clock := tenAndSixty(t)
	mustGive(t, c, gives("one", nil), "one")
	must(t, clock.Advance(70*time.Second-1))
	mustGive(t, c, gives("", errBackend), "one")
	must(t, clock.Advance(1))
	_, err := c.Do(t.Context(), "k", gives("", errBackend))
	mustBe(t, err, errBackend)
}

func TestAgeCountsFromTheStartOfTheCall(t *testing.T) {
	c, clock := tenAndSixty(t)
	mustGive(t, c, func(context.Context) (string, error) {
		return "slow", clock.Advance(10 * time.Second)
	}, "slow")
	mustGive(t, c, gives("new", nil), "new")
}

func TestOnlyAcceptedErrorsAreCovered(t *testing.T) {
	var told []time.Duration
	clock := openVirtual(t).Clock()
	c := tidegate.NewResultCache[string, string](tidegate.ResultCacheOptions[string]{
		Stale: time.Minute, Clock: clock, StaleIf: []func(error) bool{tidegate.IfRefused},
		OnStale: func(_ string, age time.Duration, _ error) { told = append(told, age) },
	})
	mustGive(t, c, gives("one", nil), "one")
	must(t, clock.Advance(time.Second))
	_, err := c.Do(t.Context(), "k", gives("", errBackend))
	mustBe(t, err, errBackend)
	mustGive(t, c, gives("", tidegate.ErrRefusedBreaker), "one")
	if len(told) != 1 || told[0] != time.Second {
		t.Fatal(told)
	}
}

func TestCallerWhoLeftGetsNoStaleResult(t *testing.T) {
	c, clock := tenAndSixty(t)
	mustGive(t, c, gives("one", nil), "one")
	must(t, clock.Advance(time.Minute))
	ctx, leave := context.WithCancel(t.Context())
	_, err := c.Do(ctx, "k", func(ctx context.Context) (string, error) {
		leave()
		return "", ctx.Err()
	})
	mustBe(t, err, context.Canceled)
}

func TestForgottenResultDoesNotComeBackWithACallUnderWay(t *testing.T) {
	c, _ := tenAndSixty(t)
	mustGive(t, c, func(context.Context) (string, error) {
		c.Forget("k")
		return "outdated", nil
	}, "outdated")
	if c.Len() != 0 {
		t.Fatal("was kept")
	}
	mustGive(t, c, gives("new", nil), "new")
	c.Forget("k")
	mustGive(t, c, gives("newer", nil), "newer")
}

func TestSlowCallDoesNotReplaceANewerResult(t *testing.T) {
	c, clock := tenAndSixty(t)
	mustGive(t, c, func(context.Context) (string, error) {
		must(t, clock.Advance(time.Second))
		mustGive(t, c, gives("new", nil), "new")
		return "slow", nil
	}, "slow")
	mustGive(t, c, gives("wrong", nil), "new")
}

func TestPanicOfLoadLeavesWhatWasKept(t *testing.T) {
	c, clock := tenAndSixty(t)
	mustGive(t, c, gives("one", nil), "one")
	must(t, clock.Advance(20*time.Second))
	func() {
		defer func() {
			if recover() != "no" {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = c.Do(t.Context(), "k", func(context.Context) (string, error) { panic("no") })
	}()
	mustGive(t, c, gives("", errBackend), "one")
}

func TestCacheIsBounded(t *testing.T) {
	c := tidegate.NewResultCache[string, string](tidegate.ResultCacheOptions[string]{Size: 10, Fresh: time.Hour})
	for i := range 1000 {
		_, err := c.Do(t.Context(), strconv.Itoa(i), gives("v", nil))
		must(t, err)
	}
	if c.Len() != 10 {
		t.Fatal(c.Len())
	}
}

func TestCacheUnderAStormGivesEachKeyItsOwn(t *testing.T) {
	c := tidegate.NewResultCache[int, int](tidegate.ResultCacheOptions[int]{Size: 8, Fresh: time.Hour, Stale: time.Hour})
	var callers group
	for i := range 16 {
		callers.Go(func() {
			for round := range 500 {
				key := (i*7 + round) % 20
				value, err := c.Do(t.Context(), key, func(context.Context) (int, error) {
					if round%5 == 0 {
						return 0, errBackend
					}
					return key, nil
				})
				if err == nil && value != key || err != nil && !errors.Is(err, errBackend) {
					t.Errorf("%d for %d, %v", value, key, err)
				}
				if round%50 == 0 {
					c.Forget(key)
				}
			}
		})
	}
	callers.Wait()
	if c.Len() > 8 {
		t.Fatal(c.Len())
	}
}
