package tidegate_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

// Actions of a policy's verdict: bits 0 to 7; the reason stands in bits 16 to
// 31, the argument in bits 32 to 63.
const (
	allow   = 0
	deny    = 1 // argument: retry after, in ms
	delay   = 2 // argument: in us
	reroute = 3 // argument: the route's number
)

// verdictPolicy is a WASM module that answers every call with one verdict.
func verdictPolicy(action, reason uint16, argument uint32) []byte {
	verdict := int64(uint64(action) | uint64(reason)<<16 | uint64(argument)<<32)
	return slicesOf(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 3, []byte{0x60, 0, 1, 0x7f}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7f}, []byte{0x60, 1, 0x7f, 1, 0x7e}),
		section(3, 3, []byte{0, 1, 2}),
		section(5, 1, []byte{0, 1}),
		section(6, 1, []byte{0x7f, 0, 0x41, 1, 0x0b}),
		section(7, 5, export("memory", 2, 0), export("tg_policy_abi", 3, 0), export("tg_policy_arena", 0, 0),
			export("tg_policy_init", 0, 1), export("tg_policy_decide", 0, 2)),
		section(10, 3, body([]byte{0x41, 8}), body([]byte{0x41, 0}), body(signed(0x42, verdict))),
	)
}

func slicesOf(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func section(id, entries byte, content ...[]byte) []byte {
	inner := append([]byte{entries}, slicesOf(content...)...)
	return append(binary.AppendUvarint([]byte{id}, uint64(len(inner))), inner...)
}

func export(name string, kind, index byte) []byte {
	return slicesOf([]byte{byte(len(name))}, []byte(name), []byte{kind, index})
}

func body(instructions []byte) []byte {
	return slicesOf([]byte{byte(len(instructions) + 2), 0}, instructions, []byte{0x0b})
}

// signed is an instruction with a signed LEB128 operand.
func signed(instruction byte, n int64) []byte {
	encoded := []byte{instruction}
	for n < -64 || n > 63 {
		encoded = append(encoded, byte(n&0x7f)|0x80)
		n >>= 7
	}
	return append(encoded, byte(n&0x7f))
}

const askPolicy = `{"concurrency": {"max": 1}, "policy": {"name": "p", "on_fail": "deny"}}`

// ruled gives the guard "g", which asks the policy "p", on a virtual clock.
func ruled(t *testing.T, wasm []byte) (*tidegate.Runtime, *tidegate.Guard) {
	t.Helper()
	rt := openVirtual(t)
	if !tidegate.HasPolicies() {
		mustBe(t, rt.LoadPolicy("p", wasm, tidegate.PolicyOptions{}), tidegate.ErrUnsupported)
		t.Skip("the library was built without policies")
	}
	must(t, rt.LoadPolicy("p", wasm, tidegate.PolicyOptions{}))
	return rt, guarded(t, rt, askPolicy)
}

func TestPolicyRefusesWithItsReason(t *testing.T) {
	_, g := ruled(t, verdictPolicy(deny, 42, 250))
	refused := mustRefuse(t, g.Do(t.Context(), succeed), tidegate.ErrRefusedPolicy)
	if refused.Reason != 42 || refused.RetryAfter != 250*time.Millisecond || refused.Stage != tidegate.StagePolicy {
		t.Fatalf("%+v", refused)
	}
}

func TestPolicyChoosesARoute(t *testing.T) {
	_, g := ruled(t, verdictPolicy(reroute, 0, 7))
	permit, err := g.Enter(t.Context())
	must(t, err)
	if permit.Route() != 7 {
		t.Fatal(permit.Route())
	}
	must(t, permit.Exit(tidegate.Success))
}

func TestPolicyDelaysTheCall(t *testing.T) {
	rt, g := ruled(t, verdictPolicy(delay, 0, 30_000_000))
	ended := make(chan error, 1)
	go func() { ended <- g.Do(t.Context(), succeed) }()
	must(t, rt.Clock().BlockUntilWaiting(t.Context(), 1))
	if s := stats(t, g); s.InFlight != 1 {
		t.Fatalf("not held while it waits: %+v", s)
	}
	must(t, rt.Clock().Advance(30*time.Second))
	must(t, <-ended)
	if s := stats(t, g); s.Calls[tidegate.Success] != 1 || s.Latency.Sum != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestCallerWhoLeavesADelayGivesThePermitBack(t *testing.T) {
	rt, g := ruled(t, verdictPolicy(delay, 0, 30_000_000))
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Do(ctx, func(context.Context) error { t.Error("ran"); return nil }) }()
	must(t, rt.Clock().BlockUntilWaiting(t.Context(), 1))
	leave()
	mustBe(t, <-ended, context.Canceled)
	if s := stats(t, g); s.InFlight != 0 || s.Calls[tidegate.Cancelled] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestPolicyIsSwappedRolledBackAndUnloaded(t *testing.T) {
	rt, g := ruled(t, verdictPolicy(deny, 1, 0))
	mustRefuse(t, g.Do(t.Context(), succeed), tidegate.ErrRefusedPolicy)
	must(t, rt.LoadPolicy("p", verdictPolicy(allow, 0, 0), tidegate.PolicyOptions{Config: []byte(`{}`)}))
	must(t, g.Do(t.Context(), succeed))
	if n, err := rt.PolicyGeneration("p"); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	must(t, rt.RollbackPolicy("p"))
	mustRefuse(t, g.Do(t.Context(), succeed), tidegate.ErrRefusedPolicy)
	must(t, rt.UnloadPolicy("p"))
	mustRefuse(t, g.Do(t.Context(), succeed), tidegate.ErrRefusedPolicy)
	mustBe(t, rt.UnloadPolicy("p"), tidegate.ErrNotFound)
	mustBe(t, rt.RollbackPolicy("p"), tidegate.ErrNotFound)
}

func TestUnacceptablePolicyIsRejectedAndTheOldOneStays(t *testing.T) {
	rt, g := ruled(t, verdictPolicy(allow, 0, 0))
	good := verdictPolicy(allow, 0, 0)
	for name, wasm := range map[string][]byte{"empty": nil, "text": []byte("(module)"), "cut": good[:len(good)-3]} {
		t.Run(name, func(t *testing.T) {
			mustBe(t, rt.LoadPolicy("p", wasm, tidegate.PolicyOptions{}), tidegate.ErrPolicyRejected)
			mustBe(t, rt.CheckPolicy(wasm, tidegate.PolicyOptions{}), tidegate.ErrPolicyRejected)
		})
	}
	must(t, rt.CheckPolicy(good, tidegate.PolicyOptions{}))
	must(t, g.Do(t.Context(), succeed))
	if n, err := rt.PolicyGeneration("p"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}
