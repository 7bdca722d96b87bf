//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#include <tidegate.h>

static tg_status tgo_guard_hottest(uintptr_t guard, uint32_t rate, tg_hot_key *keys, uint32_t *count) {
	return tg_guard_hottest((const tg_guard *)guard, rate, keys, count);
}
*/
import "C"

import "unsafe"

func libGuardHottest(guard uintptr, rate uint32) ([]HotKey, Status) {
	var raw [64]C.tg_hot_key
	count := C.uint32_t(len(raw))
	status := C.tgo_guard_hottest(C.uintptr_t(guard), C.uint32_t(rate), &raw[0], &count)
	var keys []HotKey
	for i := range raw[:count] {
		key := &raw[i]
		name := C.GoBytes(unsafe.Pointer(&key.name[0]), C.int(key.len))
		keys = append(keys, HotKey{Name: name, Count: uint64(key.count), Error: uint64(key.error)})
	}
	return keys, Status(status)
}
