//go:build cgo && linux && !tidegate_passthrough

package tidegate

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/tidegate/tidegate/bindings/go/internal/cmem"
)

// A leak loses at least one block of malloc's a round, and a block is never
// smaller than this.
const smallestBlock = 24

// handle is what the library may keep of each thing that was resolved: its
// handles are never unmapped.
const handle = 256

// grows tells how much C memory more is in use after rounds of use than after
// a first few, which fill caches and thread slots.
func grows(t *testing.T, rounds int, use func()) int64 {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range 20 {
		use()
	}
	before := cmem.InUse()
	for range rounds {
		use()
	}
	return int64(cmem.InUse()) - int64(before)
}

func TestColdCallsLeakNoCMemory(t *testing.T) {
	rt, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	wrong := []byte(`{"version": 1, "guards": {"g": {"tymeout": "1s"}}}`)
	const rounds = 2000
	grown := grows(t, rounds, func() {
		if err := rt.ApplyRules(wrong); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
		if _, err := rt.WriteMetrics(io.Discard, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := rt.Guard("\xff"); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	})
	if grown >= rounds*smallestBlock {
		t.Fatalf("%d bytes more after %d rounds", grown, rounds)
	}
}

func TestGuardsAndSeriesMadeAndRetiredKeepOnlyTheirHandles(t *testing.T) {
	rt, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	const rounds = 20000
	grown := grows(t, rounds, func() {
		g, err := rt.Guard("passing")
		if err != nil {
			t.Fatal(err)
		}
		_ = g.Do(context.Background(), func(context.Context) error { return nil })
		c, err := rt.Counter(Instrument{Name: "passing_total"}, Label{"kind", "a"})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(g.Retire(), c.Retire()); err != nil {
			t.Fatal(err)
		}
	})
	if grown > rounds*2*handle {
		t.Fatalf("%d bytes more after %d rounds", grown, rounds)
	}
}

func TestOpenAndCloseKeepOnlyTheirHandle(t *testing.T) {
	const rounds, handles = 300, 16
	grown := grows(t, rounds, func() {
		rt, err := Open(WithSegmentBytes(1 << 20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rt.Guard("g"); err != nil {
			t.Fatal(err)
		}
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if grown > rounds*handles*handle {
		t.Fatalf("%d bytes more after %d rounds", grown, rounds)
	}
}

func TestGuardedCallsAllocateNothing(t *testing.T) {
	rt, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	g, err := rt.Guard("g")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	nothing := func(context.Context) error { return nil }
	for name, call := range map[string]func(){
		"enter and exit": func() {
			permit, _ := g.Enter(ctx)
			_ = permit.Exit(Success)
		},
		"do":           func() { _ = g.Do(ctx, nothing) },
		"do with cost": func() { _ = g.Do(ctx, nothing, WithCost(2), WithKey("k")) },
		"do with attributes": func() {
			_ = g.Do(ctx, nothing, WithAttribute("method", "GET"), WithAttribute("path", "/"))
		},
	} {
		if n := testing.AllocsPerRun(1000, call); n != 0 {
			t.Errorf("%s: %g allocations", name, n)
		}
	}
}
