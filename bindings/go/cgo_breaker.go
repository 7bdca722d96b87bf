//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#include <tidegate.h>

// A handle is a number: as a pointer of Go's it would be one to nowhere.
void tgoBreakerChanged(uintptr_t handle, tg_breaker_change *change);
void tgoFree(uintptr_t handle);

static void tgo_breaker_changed(void *ctx, const tg_breaker_change *change) {
	tgoBreakerChanged((uintptr_t)ctx, (tg_breaker_change *)change);
}

static void tgo_free(void *ctx) { tgoFree((uintptr_t)ctx); }

static tg_status tgo_guard_set_breaker(uintptr_t guard, uint32_t state) {
	return tg_guard_set_breaker((const tg_guard *)guard, state);
}

static tg_status tgo_watch_breaker(uintptr_t guard, uintptr_t handle, uint64_t *watch) {
	return tg_guard_watch_breaker((const tg_guard *)guard, tgo_breaker_changed, (void *)handle, tgo_free, watch);
}

static tg_status tgo_unwatch_breaker(uintptr_t guard, uint64_t watch) {
	return tg_guard_unwatch_breaker((const tg_guard *)guard, watch);
}
*/
import "C"

import "runtime/cgo"

//export tgoBreakerChanged
func tgoBreakerChanged(handle C.uintptr_t, change *C.tg_breaker_change) {
	hear := cgo.Handle(handle).Value().(func(BreakerChange))
	hear(BreakerChange{
		From: BreakerState(change.from), To: BreakerState(change.to),
		Reason: BreakerReason(change.reason), Generation: uint64(change.generation),
	})
}

//export tgoFree
func tgoFree(handle C.uintptr_t) { cgo.Handle(handle).Delete() }

func libGuardSetBreaker(guard uintptr, state uint32) Status {
	return Status(C.tgo_guard_set_breaker(C.uintptr_t(guard), C.uint32_t(state)))
}

func libWatchBreaker(guard uintptr, hear func(BreakerChange)) (uint64, error) {
	var watch C.uint64_t
	handle := cgo.NewHandle(hear)
	status := C.tgo_watch_breaker(C.uintptr_t(guard), C.uintptr_t(handle), &watch)
	return uint64(watch), check("watch breaker", Status(status))
}

func libUnwatchBreaker(guard uintptr, watch uint64) {
	C.tgo_unwatch_breaker(C.uintptr_t(guard), C.uint64_t(watch))
}
