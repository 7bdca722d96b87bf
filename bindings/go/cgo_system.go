//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#include <tidegate.h>

static tg_status tgo_system_sample(uintptr_t runtime, tg_error *error) {
	return tg_system_sample((const tg_runtime *)runtime, error);
}

static tg_status tgo_system_set(uintptr_t runtime, double cpu, double memory) {
	return tg_system_set((const tg_runtime *)runtime, cpu, memory);
}

static tg_status tgo_system_wanted(uintptr_t runtime, uint32_t *wanted) {
	return tg_system_wanted((const tg_runtime *)runtime, wanted);
}
*/
import "C"

func libSystemSample(runtime uintptr) error {
	detail := newError()
	status := C.tgo_system_sample(C.uintptr_t(runtime), &detail)
	return fail("sample system", status, &detail)
}

func libSystemSet(runtime uintptr, cpu, memory float64) Status {
	return Status(C.tgo_system_set(C.uintptr_t(runtime), C.double(cpu), C.double(memory)))
}

func libSystemWanted(runtime uintptr) (bool, Status) {
	var wanted C.uint32_t
	status := C.tgo_system_wanted(C.uintptr_t(runtime), &wanted)
	return wanted != 0, Status(status)
}
