package breaker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/breaker"
)

func TestSharedIsOneByItsName(t *testing.T) {
	rt, err := tidegate.Open(tidegate.WithVirtualClock(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	st := breaker.Settings{Name: "payments", MaxRequests: 2, Timeout: time.Second}
	one, err := breaker.NewShared[int](rt, st)
	if !tidegate.Available() {
		if !errors.Is(err, tidegate.ErrUnavailable) {
			t.Error(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	other, err := breaker.NewShared[string](rt, st)
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		one.Execute(func() (int, error) { return 0, errors.New("bad") })
	}
	if _, err := other.Execute(func() (string, error) { return "", nil }); err != breaker.ErrOpenState {
		t.Error(err)
	}
	rt.Clock().Advance(time.Second + time.Millisecond)
	for range 2 {
		if _, err := other.Execute(func() (string, error) { return "", nil }); err != nil {
			t.Error(err)
		}
	}
	if one.State() != breaker.StateClosed {
		t.Error(one.State())
	}
	st.MaxRequests = 3
	if _, err := breaker.NewShared[int](rt, st); !errors.Is(err, tidegate.ErrConflict) {
		t.Error(err)
	}
}
