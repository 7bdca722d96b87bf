package tidegate_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

// open gives a runtime of its own to a test, closed at its end.
func open(t testing.TB, opts ...tidegate.Option) *tidegate.Runtime {
	t.Helper()
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := tidegate.Open(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return rt
}

// openVirtual is open at one hour on a clock that stands still.
func openVirtual(t testing.TB, opts ...tidegate.Option) *tidegate.Runtime {
	t.Helper()
	return open(t, append(opts, tidegate.WithVirtualClock(time.Hour))...)
}

// guarded gives the guard "g", with these rules for it.
func guarded(t testing.TB, rt *tidegate.Runtime, rules string) *tidegate.Guard {
	t.Helper()
	document := `{"schema": 1, "version": 1, "guards": {"g": ` + rules + `}}`
	if err := rt.ApplyRules([]byte(document)); err != nil {
		t.Fatal(err)
	}
	return guard(t, rt, "g")
}

func guard(t testing.TB, rt *tidegate.Runtime, name string) *tidegate.Guard {
	t.Helper()
	g, err := rt.Guard(name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func stats(t testing.TB, g *tidegate.Guard) tidegate.GuardStats {
	t.Helper()
	s, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func succeed(context.Context) error { return nil }

func fail(context.Context) error { return errBackend }

var errBackend = errors.New("backend failed")

// mustRefuse checks that err is a refusal by this stage, and returns it.
func mustRefuse(t testing.TB, err error, stage tidegate.Status) *tidegate.RefusedError {
	t.Helper()
	var refused *tidegate.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if !errors.Is(err, tidegate.ErrRefused) || !errors.Is(err, stage) {
		t.Fatalf("got %v, want %v", err, stage)
	}
	return refused
}

func mustBe(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// group is a sync.WaitGroup that starts what it waits for.
type group struct{ pending sync.WaitGroup }

func (g *group) Go(f func()) {
	g.pending.Add(1)
	go func() {
		defer g.pending.Done()
		f()
	}()
}

func (g *group) Wait() { g.pending.Wait() }
