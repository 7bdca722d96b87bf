//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#include <tidegate.h>

static tg_status tgo_open(uint32_t clock, uint64_t start, tg_str name, uint64_t segment_bytes,
                          uint32_t threads, uint32_t guards, uint32_t flags, uintptr_t *out, tg_error *error) {
	tg_options options = TG_OPTIONS_INIT;
	tg_runtime *runtime = NULL;
	options.clock = clock;
	options.virtual_start_ns = start;
	options.name = name;
	options.segment_bytes = segment_bytes;
	options.max_threads = threads;
	options.max_guards = guards;
	options.flags = flags;
	tg_status status = tg_runtime_open(&options, &runtime, error);
	*out = (uintptr_t)runtime;
	return status;
}

static tg_status tgo_close(uintptr_t runtime) { return tg_runtime_close((tg_runtime *)runtime); }

static tg_status tgo_clock_now(uintptr_t runtime, uint64_t *ns) {
	return tg_clock_now((const tg_runtime *)runtime, ns);
}

static tg_status tgo_clock_set(uintptr_t runtime, uint64_t ns) {
	return tg_clock_set((const tg_runtime *)runtime, ns);
}

static tg_status tgo_clock_advance(uintptr_t runtime, uint64_t ns) {
	return tg_clock_advance((const tg_runtime *)runtime, ns);
}

static tg_status tgo_rules_apply(uintptr_t runtime, const char *json, size_t len, tg_error *error) {
	return tg_rules_apply((const tg_runtime *)runtime, json, len, error);
}

static tg_status tgo_rules_version(uintptr_t runtime, uint64_t *version) {
	return tg_rules_version((const tg_runtime *)runtime, version);
}

static tg_status tgo_metrics_render(uintptr_t runtime, tg_str accept, tg_text **out, tg_error *error) {
	return tg_metrics_render((const tg_runtime *)runtime, accept, out, error);
}
*/
import "C"

import "unsafe"

func libOpen(c *config) (uintptr, error) {
	var runtime C.uintptr_t
	clock := C.uint32_t(C.TG_CLOCK_MONOTONIC)
	if c.virtual {
		clock = C.TG_CLOCK_VIRTUAL
	}
	var flags C.uint32_t
	if c.faults {
		flags = C.TG_OPTION_FAULTS
	}
	detail := newError()
	status := C.tgo_open(clock, C.uint64_t(c.virtualStart), toStr(c.name), C.uint64_t(c.segmentBytes),
		C.uint32_t(c.maxThreads), C.uint32_t(c.maxGuards), flags, &runtime, &detail)
	return uintptr(runtime), fail("open", status, &detail)
}

func libClose(runtime uintptr) Status { return Status(C.tgo_close(C.uintptr_t(runtime))) }

func libClockNow(runtime uintptr) (uint64, Status) {
	var ns C.uint64_t
	status := C.tgo_clock_now(C.uintptr_t(runtime), &ns)
	return uint64(ns), Status(status)
}

func libClockSet(runtime uintptr, ns uint64) Status {
	return Status(C.tgo_clock_set(C.uintptr_t(runtime), C.uint64_t(ns)))
}

func libClockAdvance(runtime uintptr, ns uint64) Status {
	return Status(C.tgo_clock_advance(C.uintptr_t(runtime), C.uint64_t(ns)))
}

// libRulesCheck returns the report as JSON, empty where the library gave none.
func libRulesCheck(document []byte) (report []byte, err error) {
	var text *C.tg_text
	detail := newError()
	status := C.tg_rules_check(charsOf(document), C.size_t(len(document)), &text, &detail)
	if text != nil {
		defer C.tg_text_free(text)
		report = append(report, bytesOf(C.tg_text_bytes(text))...)
	}
	return report, fail("rules", status, &detail)
}

func libRulesApply(runtime uintptr, document []byte) error {
	detail := newError()
	status := C.tgo_rules_apply(C.uintptr_t(runtime), charsOf(document), C.size_t(len(document)), &detail)
	return fail("rules", status, &detail)
}

func libRulesVersion(runtime uintptr) (uint64, Status) {
	var version C.uint64_t
	status := C.tgo_rules_version(C.uintptr_t(runtime), &version)
	return uint64(version), Status(status)
}

// rendering is metrics text that C owns until free is called.
type rendering struct{ text *C.tg_text }

func libRender(runtime uintptr, accept string) (rendering, error) {
	var text *C.tg_text
	detail := newError()
	status := C.tgo_metrics_render(C.uintptr_t(runtime), toStr(accept), &text, &detail)
	return rendering{text}, fail("metrics", status, &detail)
}

func (r rendering) contentType() string { return string(bytesOf(C.tg_text_content_type(r.text))) }
func (r rendering) bytes() []byte       { return bytesOf(C.tg_text_bytes(r.text)) }
func (r rendering) free()               { C.tg_text_free(r.text) }

func charsOf(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }
