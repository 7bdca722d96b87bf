package tidegate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

var errOther = errors.New("the other failed too")

func gives(value string, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return value, err }
}

func standIn(value string, err error) func(context.Context, error) (string, error) {
	return func(context.Context, error) (string, error) { return value, err }
}

func TestFallbackStandsInForAnError(t *testing.T) {
	value, err := tidegate.Fallback(t.Context(), gives("", errBackend), func(_ context.Context, err error) (string, error) {
		mustBe(t, err, errBackend)
		return "list price", nil
	})
	must(t, err)
	if value != "list price" {
		t.Fatal(value)
	}
}

func TestFallbackLeavesASuccessAlone(t *testing.T) {
	value, err := tidegate.Fallback(t.Context(), gives("price", nil), standIn("wrong", nil))
	must(t, err)
	if value != "price" {
		t.Fatal(value)
	}
}

func TestFallbackThatFailsTellsBothErrors(t *testing.T) {
	_, err := tidegate.Fallback(t.Context(), gives("", errBackend), standIn("", errOther))
	mustBe(t, err, errBackend)
	mustBe(t, err, errOther)
}

func TestFallbackOnlyWhenAccepted(t *testing.T) {
	_, err := tidegate.Fallback(t.Context(), gives("", errBackend), standIn("wrong", nil), tidegate.IfRefused)
	mustBe(t, err, errBackend)
	refused := &tidegate.RefusedError{Status: tidegate.ErrRefusedBreaker}
	value, err := tidegate.Fallback(t.Context(), gives("", refused), standIn("old", nil), tidegate.IfRefused)
	must(t, err)
	if value != "old" {
		t.Fatal(value)
	}
}

func TestFallbackDoesNotWorkForACallerWhoLeft(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	_, err := tidegate.Fallback(ctx, func(ctx context.Context) (string, error) {
		leave()
		return "", ctx.Err()
	}, standIn("wrong", nil))
	mustBe(t, err, context.Canceled)
}

func TestCallGivesTheValue(t *testing.T) {
	rt, err := tidegate.Open()
	must(t, err)
	defer rt.Close()
	value, err := tidegate.Call(t.Context(), guard(t, rt, "g"), gives("price", nil))
	must(t, err)
	if value != "price" {
		t.Fatal(value)
	}
}

func TestRefusedCallGivesNoValue(t *testing.T) {
	g := guarded(t, openVirtual(t), `{"rate": [{"limit": 1, "per": "1s", "burst": 1}]}`)
	must(t, g.Do(t.Context(), succeed))
	value, err := tidegate.Call(t.Context(), g, gives("price", nil))
	mustRefuse(t, err, tidegate.ErrRefusedRate)
	if value != "" {
		t.Fatal(value)
	}
}

func TestEnterByNameLetsPassWhatHasNoGuard(t *testing.T) {
	rt := open(t)
	permit, err := rt.Enter(t.Context(), "by.name")
	must(t, err)
	must(t, permit.Exit(tidegate.Success))
	if s := stats(t, guard(t, rt, "by.name")); s.Calls[tidegate.Success] != 1 {
		t.Fatalf("%+v", s)
	}
	permit, err = rt.Enter(t.Context(), "")
	must(t, err)
	if permit.Guarded() || rt.Faults()[tidegate.ErrInvalid] != 1 {
		t.Fatal(permit.Guarded(), rt.Faults())
	}
	_, err = rt.Enter(t.Context(), "", tidegate.WithFailClosed())
	mustBe(t, err, tidegate.ErrInvalid)
}

func TestOutcomeOfFindsTheMark(t *testing.T) {
	marked := errors.Join(errOther, tidegate.WithOutcome(errBackend, tidegate.Ignored))
	if outcome, ok := tidegate.OutcomeOf(marked); !ok || outcome != tidegate.Ignored {
		t.Fatal(outcome, ok)
	}
	if _, ok := tidegate.OutcomeOf(errBackend); ok {
		t.Fatal("found a mark on an error without one")
	}
}
