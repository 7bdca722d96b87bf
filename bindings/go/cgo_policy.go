//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#include <tidegate.h>

static tg_policy_options tgo_policy_options(tg_str config, uint64_t deadline, uint64_t memory) {
	tg_policy_options options = TG_POLICY_OPTIONS_INIT;
	options.config = config;
	options.deadline_ns = deadline;
	options.memory_max_bytes = memory;
	return options;
}

static tg_status tgo_policy_load(uintptr_t runtime, tg_str name, tg_str wasm, tg_str config,
                                 uint64_t deadline, uint64_t memory, tg_error *error) {
	tg_policy_options options = tgo_policy_options(config, deadline, memory);
	return tg_policy_load((const tg_runtime *)runtime, name, (const uint8_t *)wasm.ptr, wasm.len, &options, error);
}

static tg_status tgo_policy_check(uintptr_t runtime, tg_str wasm, tg_str config,
                                  uint64_t deadline, uint64_t memory, tg_error *error) {
	tg_policy_options options = tgo_policy_options(config, deadline, memory);
	return tg_policy_check((const tg_runtime *)runtime, (const uint8_t *)wasm.ptr, wasm.len, &options, error);
}

static tg_status tgo_policy_rollback(uintptr_t runtime, tg_str name, tg_error *error) {
	return tg_policy_rollback((const tg_runtime *)runtime, name, error);
}

static tg_status tgo_policy_unload(uintptr_t runtime, tg_str name) {
	return tg_policy_unload((const tg_runtime *)runtime, name);
}

static tg_status tgo_policy_generation(uintptr_t runtime, tg_str name, uint64_t *generation) {
	return tg_policy_generation((const tg_runtime *)runtime, name, generation);
}
*/
import "C"

import "unsafe"

// toBytes lends bytes to C for one call.
func toBytes(b []byte) C.tg_str {
	return C.tg_str{ptr: (*C.char)(unsafe.Pointer(unsafe.SliceData(b))), len: C.size_t(len(b))}
}

func libPolicyLoad(runtime uintptr, name string, wasm []byte, o PolicyOptions) error {
	detail := newError()
	status := C.tgo_policy_load(C.uintptr_t(runtime), toStr(name), toBytes(wasm), toBytes(o.Config),
		C.uint64_t(nanoseconds(o.Deadline)), C.uint64_t(o.MemoryBytes), &detail)
	return fail("load policy", status, &detail)
}

func libPolicyCheck(runtime uintptr, wasm []byte, o PolicyOptions) error {
	detail := newError()
	status := C.tgo_policy_check(C.uintptr_t(runtime), toBytes(wasm), toBytes(o.Config),
		C.uint64_t(nanoseconds(o.Deadline)), C.uint64_t(o.MemoryBytes), &detail)
	return fail("check policy", status, &detail)
}

func libPolicyRollback(runtime uintptr, name string) error {
	detail := newError()
	return fail("roll back policy", C.tgo_policy_rollback(C.uintptr_t(runtime), toStr(name), &detail), &detail)
}

func libPolicyUnload(runtime uintptr, name string) Status {
	return Status(C.tgo_policy_unload(C.uintptr_t(runtime), toStr(name)))
}

func libPolicyGeneration(runtime uintptr, name string) (uint64, Status) {
	var generation C.uint64_t
	status := C.tgo_policy_generation(C.uintptr_t(runtime), toStr(name), &generation)
	return uint64(generation), Status(status)
}
