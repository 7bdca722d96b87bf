//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#include <tidegate.h>

static tg_status tgo_breaker_words(uintptr_t runtime, tg_str name, uint32_t max_requests, uint64_t interval, uint64_t period,
                                   uint64_t timeout, const uint64_t **words, size_t *count, tg_error *error) {
	tg_breaker_options options = TG_BREAKER_OPTIONS_INIT;
	const tg_breaker *breaker = NULL;
	options.max_requests = max_requests;
	options.interval_ns = interval;
	options.bucket_period_ns = period;
	options.timeout_ns = timeout;
	tg_status status = tg_breaker_resolve((const tg_runtime *)runtime, name, &options, &breaker, error);
	return status == TG_OK ? tg_breaker_words(breaker, words, count) : status;
}
*/
import "C"

import (
	"sync/atomic"
	"unsafe"

	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

// libBreakerWords are never unmapped, and not Go's.
func libBreakerWords(runtime uintptr, name string, rule counted.Rule) ([]atomic.Uint64, error) {
	var words *C.uint64_t
	var count C.size_t
	detail := newError()
	status := C.tgo_breaker_words(C.uintptr_t(runtime), toStr(name), C.uint32_t(rule.MaxRequests),
		C.uint64_t(rule.Interval), C.uint64_t(rule.Period), C.uint64_t(rule.Timeout), &words, &count, &detail)
	if err := fail("resolve breaker", status, &detail); err != nil {
		return nil, err
	}
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(words)), int(count)), nil
}
