package rate

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

func needLibrary(t *testing.T) {
	t.Helper()
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
}

func open(t *testing.T, options ...tidegate.Option) *tidegate.Runtime {
	t.Helper()
	rt, err := tidegate.Open(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

func sharedOn(t *testing.T, rt *tidegate.Runtime, name string, r Limit, b int) *Limiter {
	t.Helper()
	lim, err := SharedOn(rt, name, r, b)
	if err != nil {
		t.Fatal(err)
	}
	return lim
}

func TestANameIsShared(t *testing.T) {
	one, other := Shared("TestANameIsShared", 0, 3), Shared("TestANameIsShared", 5, 9)
	want(t, "first", one.Allow(), true)
	want(t, "second", other.AllowN(time.Now(), 2), true)
	want(t, "third", one.Allow(), false)
	want(t, "Burst", other.Burst(), 3)
	other.SetBurst(5)
	want(t, "Burst", one.Burst(), 5)
	want(t, "another", Shared("another", 0, 1).Allow(), true)
}

func TestSharedWithTheLibrary(t *testing.T) {
	needLibrary(t)
	rt := open(t, tidegate.WithVirtualClock(time.Hour))
	lim := sharedOn(t, rt, "l", 10, 3)
	raw, err := rt.Limiter("l", tidegate.LimiterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "ours", lim.Allow(), true)
	if _, err := raw.Take(2); err != nil {
		t.Error(err)
	}
	want(t, "none left", lim.Allow(), false)
	if _, err := raw.Take(1); !errors.Is(err, tidegate.ErrRefusedRate) {
		t.Error(err)
	}
	_ = rt.Clock().Advance(tenth)
	want(t, "a tenth later", lim.Allow(), true)
	if err := raw.Set(tidegate.LimiterOptions{Limit: 20, Burst: 7}); err != nil {
		t.Error(err)
	}
	want(t, "Limit", lim.Limit(), 20)
	want(t, "Burst", lim.Burst(), 7)
	lim.SetLimit(40)
	_ = rt.Clock().Advance(tenth)
	if tokens, err := raw.Tokens(); tokens != 4 || err != nil {
		t.Error(tokens, err)
	}
	if err := raw.Set(tidegate.LimiterOptions{Algorithm: tidegate.FixedWindow, Limit: 2}); err != nil {
		t.Error(err)
	}
	near(t, "of another algorithm", lim.Tokens(), 2)
	want(t, "which the library decides", lim.AllowN(time.Now(), 2) && !lim.Allow(), true)
	want(t, "none left", lim.Allow(), false)
	var metrics strings.Builder
	if _, err := rt.WriteMetrics(&metrics, ""); err != nil {
		t.Error(err)
	}
	want(t, "refusals of both", strings.Contains(metrics.String(), "tidegate_limiter_rejected_total{limiter=\"l\"} 4\n"), true)
}

func TestSharedWaitsOnTheVirtualClock(t *testing.T) {
	needLibrary(t)
	rt := open(t, tidegate.WithVirtualClock(time.Hour))
	lim := sharedOn(t, rt, "l", 10, 1)
	lim.Allow()
	done := make(chan error)
	go func() { done <- lim.Wait(context.Background()) }()
	if err := rt.Clock().BlockUntilWaiting(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	_ = rt.Clock().Advance(tenth)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSharedOfAClosedRuntimeLetsAllPass(t *testing.T) {
	needLibrary(t)
	rt := open(t)
	closed, retired := sharedOn(t, rt, "l", 0, 0), sharedOn(t, rt, "r", 0, 0)
	want(t, "before", closed.Allow() || retired.Allow(), false)
	raw, err := rt.Limiter("r", tidegate.LimiterOptions{})
	if err != nil || raw.Retire() != nil {
		t.Error(err)
	}
	want(t, "retired", retired.Allow(), true)
	want(t, "not yet", closed.Allow(), false)
	_ = rt.Close()
	want(t, "closed", closed.Allow(), true)
	if _, err := SharedOn(rt, "l", 1, 1); !errors.Is(err, tidegate.ErrClosed) {
		t.Error(err)
	}
}

func TestSharedRefusesWhatIsNoName(t *testing.T) {
	needLibrary(t)
	if _, err := SharedOn(open(t), "a\nb", 1, 1); !errors.Is(err, tidegate.ErrInvalid) {
		t.Error(err)
	}
}

// twin is a limiter of the library's, and one of Go's on a word of its own and on a
// word of the segment.
type twin struct {
	library     *bucket.Place
	own, shared *Limiter
}

func newTwin(t *testing.T, rt *tidegate.Runtime, limit float64, burst int) twin {
	place, err := bucket.Resolve(rt, "library", limit, burst)
	if err != nil {
		t.Fatal(err)
	}
	return twin{place, NewLimiter(Limit(limit), burst), sharedOn(t, rt, "go", Limit(limit), burst)}
}

// Whatever is asked, the mathematics in Go answers as that in Rust does, to the last bit of the
// word.
func TestTheMathematicsIsTheLibrarys(t *testing.T) {
	needLibrary(t)
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		limit, burst := limitOf(random), 1+random.IntN(1000)
		rt := open(t, tidegate.WithVirtualClock(time.Hour))
		w := newTwin(t, rt, limit, burst)
		now := uint64(time.Hour)
		for step := range 60 {
			now += random.Uint64N(1 << random.IntN(36))
			if random.IntN(15) == 0 {
				limit, burst = limitOf(random), 1+random.IntN(1000)
				w.library.Home.Set(limit, burst, now)
				change := func(float64, int) (float64, int) { return limit, burst }
				w.own.b.Set(now, change)
				w.shared.b.Set(now, change)
			}
			cost, longest := random.Uint64N(uint64(burst)+3), uint64(0)
			if random.IntN(2) == 0 {
				longest = random.Uint64N(1 << 36)
			}
			w.compare(t, seed, step, now, cost, longest)
		}
		_ = rt.Close()
		if t.Failed() {
			return
		}
	}
}

func limitOf(random *rand.Rand) float64 {
	switch random.IntN(8) {
	case 0:
		return 0
	case 1:
		return float64(Inf)
	}
	return random.ExpFloat64() * float64(uint64(1)<<random.IntN(30))
}

func (w twin) compare(t *testing.T, seed uint64, step int, now, cost, longest uint64) {
	t.Helper()
	var made bucket.Reserved
	wait, ok := w.library.Home.Take(cost, now, longest)
	for which, lim := range []*Limiter{w.own, w.shared} {
		mine, fine := lim.b.Reserve(now, cost, longest, &made)
		if fine != ok || ok && mine != wait || lim.b.Word() != w.library.Word.Load() {
			t.Errorf("%d: seed %d, step %d, cost %d: %v %v %x, the library %v %v %x", which, seed, step, cost,
				fine, mine, lim.b.Word(), ok, wait, w.library.Word.Load())
		}
		if lim.b.Tokens(now) != w.library.Home.Tokens(now) {
			t.Errorf("seed %d, step %d: %v tokens, the library %v", seed, step, lim.b.Tokens(now), w.library.Home.Tokens(now))
		}
	}
}
