//go:build cgo && linux && !tidegate_passthrough

package tidegate

// Each shim takes one structure and returns nothing, which is cheapest: cgo
// looks up the Go stack twice around a C function that has a result. Without
// nocallback, noescape would be ignored, and entries would go to the heap.

/*
#cgo noescape tgo_enter
#cgo nocallback tgo_enter
#cgo noescape tgo_enter_call
#cgo nocallback tgo_enter_call
#cgo noescape tgo_exit
#cgo nocallback tgo_exit
#include <tidegate.h>

typedef struct tgo_entry {
	uintptr_t guard, runtime;
	uint64_t wait, deadline, caller, now, retry;
	int32_t stage;
	uint32_t reason;
	int32_t status, outcome;
	tg_permit permit;
} tgo_entry;

typedef struct tgo_call {
	uint64_t cost, timeout, deadline, context;
	uint32_t criticality, key_len, attributes, level;
	uint32_t ids[16], lens[16];
} tgo_call;

// Tells what Go needs to know of a permit, so that it need not ask again.
static void tgo_told(tgo_entry *e, tg_status status) {
	e->status = status;
	if (status == TG_OK) {
		e->wait = tg_permit_wait(&e->permit);
		e->deadline = tg_permit_deadline(&e->permit);
		if (e->deadline != 0) tg_clock_now((const tg_runtime *)e->runtime, &e->now);
	} else if (tg_is_refusal(status)) {
		e->retry = tg_permit_retry_after(&e->permit);
		e->stage = tg_permit_stage(&e->permit);
		e->reason = tg_permit_reason(&e->permit);
	}
}

static void tgo_enter(tgo_entry *e) {
	tgo_told(e, tg_guard_enter((const tg_guard *)e->guard, NULL, &e->permit));
}

// The earlier of two deadlines, of which 0 is none.
static uint64_t tgo_earlier(uint64_t a, uint64_t b) {
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void tgo_enter_call(tgo_entry *e, const tgo_call *c, const char *data) {
	tg_attribute attributes[16];
	tg_call call = TG_CALL_INIT;
	const char *value = data + c->key_len;
	for (uint32_t i = 0; i < c->attributes; i++) {
		attributes[i] = (tg_attribute){ c->ids[i], 0, { value, c->lens[i] } };
		value += c->lens[i];
	}
	e->caller = c->deadline;
	if (c->context != 0 && tg_clock_now((const tg_runtime *)e->runtime, &e->now) == TG_OK)
		e->caller = tgo_earlier(e->now + c->context, c->deadline);
	call.criticality = c->criticality;
	if (c->level != 0) call.has_level = 1, call.level = c->level - 1;
	call.cost = c->cost;
	call.timeout_ns = c->timeout;
	call.deadline_ns = e->caller;
	call.key = (tg_str){ data, c->key_len };
	call.attributes = attributes;
	call.attribute_count = c->attributes;
	tgo_told(e, tg_guard_enter((const tg_guard *)e->guard, &call, &e->permit));
}

static void tgo_exit(tgo_entry *e) {
	e->status = tg_guard_exit(&e->permit, e->outcome);
}

static tg_status tgo_guard_retire(uintptr_t guard) {
	return tg_guard_retire((const tg_guard *)guard);
}

static tg_status tgo_guard_stats(uintptr_t guard, tg_guard_stats *out) {
	return tg_guard_stats_read((const tg_guard *)guard, out);
}

static tg_status tgo_guard_resolve(uintptr_t runtime, tg_str name, uintptr_t *out, tg_error *error) {
	const tg_guard *guard = NULL;
	tg_status status = tg_guard_resolve((const tg_runtime *)runtime, name, &guard, error);
	*out = (uintptr_t)guard;
	return status;
}

static tg_status tgo_attribute_resolve(uintptr_t runtime, tg_str name, uint32_t *id) {
	return tg_attribute_resolve((const tg_runtime *)runtime, name, id);
}
*/
import "C"

import "unsafe"

// A mismatch of the layouts does not compile.
var (
	_ [unsafe.Sizeof(entry{})]byte    = [C.sizeof_tgo_entry]byte{}
	_ [unsafe.Sizeof(callSpec{})]byte = [C.sizeof_tgo_call]byte{}
)

func libEnter(e *entry) Status {
	C.tgo_enter((*C.tgo_entry)(unsafe.Pointer(e)))
	return e.status
}

func libEnterCall(e *entry, spec *callSpec, data []byte) Status {
	C.tgo_enter_call((*C.tgo_entry)(unsafe.Pointer(e)), (*C.tgo_call)(unsafe.Pointer(spec)), charsOf(data))
	return e.status
}

func libExit(e *entry, outcome Outcome) Status {
	e.outcome = outcome
	C.tgo_exit((*C.tgo_entry)(unsafe.Pointer(e)))
	return e.status
}

func libPermitRoute(e *entry) uint32 {
	return uint32(C.tg_permit_route((*C.tg_permit)(unsafe.Pointer(&e.permit))))
}

func libGuardResolve(runtime uintptr, name string) (uintptr, error) {
	var guard C.uintptr_t
	detail := newError()
	status := C.tgo_guard_resolve(C.uintptr_t(runtime), toStr(name), &guard, &detail)
	return uintptr(guard), fail("guard", status, &detail)
}

func libGuardRetire(guard uintptr) Status {
	return Status(C.tgo_guard_retire(C.uintptr_t(guard)))
}

func libAttributeResolve(runtime uintptr, name string) (uint32, Status) {
	var id C.uint32_t
	status := C.tgo_attribute_resolve(C.uintptr_t(runtime), toStr(name), &id)
	return uint32(id), Status(status)
}

func libGuardStats(guard uintptr) (GuardStats, Status) {
	raw := C.tg_guard_stats{struct_size: C.sizeof_tg_guard_stats}
	status := C.tgo_guard_stats(C.uintptr_t(guard), &raw)
	stats := GuardStats{
		Breaker: BreakerState(raw.breaker), InFlight: uint64(raw.inflight), Limit: uint64(raw.limit),
		Expired: uint64(raw.expired), MisusedExits: uint64(raw.misused_exits),
		Latency: LatencyStats{
			Count: uint64(raw.latency_count), Sum: seconds(raw.latency_sum),
			P50: seconds(raw.latency_p50), P90: seconds(raw.latency_p90), P99: seconds(raw.latency_p99),
		},
	}
	stats.Retries, stats.Hedges = uint64(raw.retries), uint64(raw.hedges)
	stats.RetryBudget = uint64(raw.retry_budget)
	for i := range stats.BreakerTransitions {
		stats.BreakerTransitions[i] = uint64(raw.breaker_transitions[i])
	}
	for i := range stats.Calls {
		stats.Calls[i] = uint64(raw.calls[i])
	}
	for i := range stats.Rejected {
		stats.Rejected[i] = uint64(raw.rejected[i])
		stats.ShadowRejected[i] = uint64(raw.shadow_rejected[i])
	}
	return stats, Status(status)
}
