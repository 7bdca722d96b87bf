//go:build cgo && linux && !tidegate_passthrough

package tidegate

import (
	"runtime"
	"testing"
)

// Each watch gives its handle back, and the last one ends the goroutine,
// whether it was stopped, never begun or ended by Close.
func TestWatchesOfBreakersLeaveNothing(t *testing.T) {
	rt, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	g, err := rt.Guard("g")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		stop, err := g.OnBreakerChange(func(BreakerChange) {})
		if (err != nil) != (i >= 164) {
			t.Fatal(i, err)
		}
		if i < 100 {
			stop()
		}
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	for {
		hearing.Lock()
		left := hearing.watches
		hearing.Unlock()
		if left == 0 {
			return
		}
		runtime.Gosched()
	}
}
