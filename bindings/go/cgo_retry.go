//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#cgo noescape tgo_retry_begin
#cgo nocallback tgo_retry_begin
#cgo noescape tgo_retry_next
#cgo nocallback tgo_retry_next
#cgo noescape tgo_retry_abandon
#cgo nocallback tgo_retry_abandon
#cgo noescape tgo_hedge_begin
#cgo nocallback tgo_hedge_begin
#cgo noescape tgo_hedge_next
#cgo nocallback tgo_hedge_next
#cgo noescape tgo_hedge_end
#cgo nocallback tgo_hedge_end
#include <tidegate.h>

typedef struct tgo_again {
	uintptr_t guard, runtime;
	uint64_t context, timeout, deadline, retry_after, wait;
	uint32_t criticality, flags;
	int32_t status, outcome;
	union { tg_retry retry; tg_hedge hedge; } state;
} tgo_again;

static tg_call tgo_about(const tgo_again *a) {
	tg_call call = TG_CALL_INIT;
	uint64_t now = 0;
	call.criticality = a->criticality;
	call.flags = a->flags;
	call.timeout_ns = a->timeout;
	call.deadline_ns = a->deadline;
	if (a->context != 0 && tg_clock_now((const tg_runtime *)a->runtime, &now) == TG_OK &&
	    (call.deadline_ns == 0 || now + a->context < call.deadline_ns))
		call.deadline_ns = now + a->context;
	return call;
}

static void tgo_retry_begin(tgo_again *a) {
	tg_call call = tgo_about(a);
	a->status = tg_retry_begin((const tg_guard *)a->guard, &call, &a->state.retry);
}

static void tgo_retry_next(tgo_again *a) {
	a->status = tg_retry_next(&a->state.retry, a->outcome, a->retry_after, &a->wait);
}

static void tgo_retry_abandon(tgo_again *a) { a->status = tg_retry_abandon(&a->state.retry); }

static void tgo_hedge_begin(tgo_again *a) {
	tg_call call = tgo_about(a);
	a->status = tg_hedge_begin((const tg_guard *)a->guard, &call, &a->state.hedge);
}

static void tgo_hedge_next(tgo_again *a) { a->status = tg_hedge_next(&a->state.hedge, &a->wait); }

static void tgo_hedge_end(tgo_again *a) { a->status = tg_hedge_end(&a->state.hedge, a->outcome); }
*/
import "C"

import "unsafe"

// A mismatch of the layouts does not compile.
var _ [unsafe.Sizeof(again{})]byte = [C.sizeof_tgo_again]byte{}

func inC(a *again) *C.tgo_again { return (*C.tgo_again)(unsafe.Pointer(a)) }

func libRetryBegin(a *again) Status {
	C.tgo_retry_begin(inC(a))
	return a.status
}

func libRetryNext(a *again) Status {
	C.tgo_retry_next(inC(a))
	return a.status
}

func libRetryAbandon(a *again) Status {
	C.tgo_retry_abandon(inC(a))
	return a.status
}

func libHedgeBegin(a *again) Status {
	C.tgo_hedge_begin(inC(a))
	return a.status
}

func libHedgeNext(a *again) Status {
	C.tgo_hedge_next(inC(a))
	return a.status
}

func libHedgeEnd(a *again) Status {
	C.tgo_hedge_end(inC(a))
	return a.status
}
