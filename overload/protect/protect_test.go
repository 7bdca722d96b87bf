package protect

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// Every protection lets a call in where there is none, and gives back what it held.
func TestACallGetsInWhereThereIsNone(t *testing.T) {
	for _, kind := range append(Kinds(), ByCriticality()...) {
		protection, err := kind.Open()
		if errors.Is(err, ErrLacks) {
			t.Logf("%s: %v", kind.Name, err)
			continue
		} else if err != nil {
			t.Fatal(kind.Name, err)
		}
		for _, criticality := range []Criticality{Default, Critical, Sheddable} {
			for _, served := range []bool{true, false} {
				leave, ok := protection.Enter(context.Background(), Call{criticality})
				if !ok {
					t.Fatalf("%s refuses a %q call", kind.Name, criticality)
				}
				leave(served)
			}
		}
		if err := errors.Join(protection.Check(), protection.Close()); err != nil {
			t.Error(kind.Name, err)
		}
	}
}

func TestAFixedLimitIsKept(t *testing.T) {
	protection, err := openTidegate("fixed")
	if err != nil {
		t.Fatal(err)
	}
	defer protection.Close()
	var leave []func(bool)
	for range protection.Most() + 1 {
		if out, ok := protection.Enter(context.Background(), Call{}); ok {
			leave = append(leave, out)
		}
	}
	if len(leave) != 16 || protection.Most() != 16 {
		t.Errorf("%d got in, at most %d should, and 16 is what the rules say", len(leave), protection.Most())
	}
	if err := protection.Check(); err == nil {
		t.Error("permits are held, and it finds nothing wrong")
	}
	for _, out := range leave {
		out(true)
	}
	if err := protection.Check(); err != nil {
		t.Error(err)
	}
}

// What the library does not know is told apart from what is wrong with a document.
func TestWhatTheLibraryLacks(t *testing.T) {
	unknown := `{"version": 1, "guards": {"g": {"concurrency": {"algorithm": "guesswork", "min": 4, "max": 9}}}}`
	if err := has([]byte(unknown)); !errors.Is(err, ErrLacks) || !strings.Contains(err.Error(), "guesswork") {
		t.Error(err)
	}
	wrong := `{"version": 1, "guards": {"g": {"concurrency": {"algorithm": "fixed", "max": 0}}}}`
	if err := has([]byte(wrong)); err == nil || errors.Is(err, ErrLacks) {
		t.Error(err)
	}
	fixed := `{"version": 1, "guards": {"g": {"concurrency": {"algorithm": "fixed", "max": 9}}}}`
	if err := has([]byte(fixed)); err != nil {
		t.Error(err)
	}
}

func TestPick(t *testing.T) {
	var names []string
	for _, kind := range Pick(Kinds(), "kratos-bbr,none,nobody") {
		names = append(names, kind.Name)
	}
	if got := strings.Join(names, " "); got != "none kratos-bbr" {
		t.Error(got)
	}
	if got := len(Pick(Kinds(), "")); got != len(Kinds()) {
		t.Errorf("%d of all %d", got, len(Kinds()))
	}
}
