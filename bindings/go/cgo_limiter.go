//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#cgo noescape tgo_limiter_take
#cgo nocallback tgo_limiter_take
#include <tidegate.h>

// One structure and no result: see cgo_guard.go.
typedef struct tgo_take {
	uintptr_t handle;
	uint64_t cost, at, ns;
	int32_t status;
} tgo_take;

static tg_status tgo_limiter_resolve(uintptr_t runtime, tg_str name, const tg_limiter_options *options,
                                     uintptr_t *out, tg_error *error) {
	const tg_limiter *limiter = NULL;
	tg_status status = tg_limiter_resolve((const tg_runtime *)runtime, name, options, &limiter, error);
	*out = (uintptr_t)limiter;
	return status;
}

static void tgo_limiter_take(tgo_take *t) {
	t->status = tg_limiter_take((const tg_limiter *)t->handle, t->cost, t->at, &t->ns);
}

static tg_status tgo_limiter_reserve(uintptr_t limiter, uint64_t cost, uint64_t at, uint64_t longest, uint64_t *wait) {
	tg_reservation reservation;
	tg_status status = tg_limiter_reserve((const tg_limiter *)limiter, cost, at, longest, &reservation);
	*wait = reservation.wait_ns;
	return status;
}

static tg_status tgo_limiter_reservation(uintptr_t limiter, uint64_t cost, uint64_t at, uint64_t longest,
                                         tg_reservation *reservation) {
	return tg_limiter_reserve((const tg_limiter *)limiter, cost, at, longest, reservation);
}

static tg_status tgo_limiter_cancel(uintptr_t limiter, tg_reservation *reservation, uint64_t at) {
	return tg_limiter_cancel((const tg_limiter *)limiter, reservation, at);
}

static tg_status tgo_limiter_tokens(uintptr_t limiter, uint64_t at, double *out) {
	return tg_limiter_tokens((const tg_limiter *)limiter, at, out);
}

static tg_status tgo_limiter_set(uintptr_t limiter, const tg_limiter_options *options, uint64_t at, tg_error *error) {
	return tg_limiter_set((const tg_limiter *)limiter, options, at, error);
}

static tg_status tgo_limiter_retire(uintptr_t limiter) { return tg_limiter_retire((const tg_limiter *)limiter); }

static tg_status tgo_limiter_locate(uintptr_t limiter, tg_limiter_place *place) {
	return tg_limiter_locate((const tg_limiter *)limiter, place);
}
*/
import "C"

import (
	"sync/atomic"
	"unsafe"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

func rawLimiter(o *LimiterOptions) C.tg_limiter_options {
	return C.tg_limiter_options{
		struct_size: C.sizeof_tg_limiter_options, algorithm: C.uint32_t(o.Algorithm),
		limit: C.double(o.Limit), per_ns: C.uint64_t(nanoseconds(o.Per)), burst: C.uint64_t(o.Burst),
		max_wait_ns: C.uint64_t(nanoseconds(o.MaxWait)), warm_up_ns: C.uint64_t(nanoseconds(o.WarmUp)),
		cold_factor: C.double(o.ColdFactor), buckets: C.uint32_t(o.Buckets),
	}
}

func libLimiterResolve(rt uintptr, name string, options *LimiterOptions) (uintptr, error) {
	var handle C.uintptr_t
	raw, detail := rawLimiter(options), newError()
	status := C.tgo_limiter_resolve(C.uintptr_t(rt), toStr(name), &raw, &handle, &detail)
	return uintptr(handle), fail("limiter "+name, status, &detail)
}

func libLimiterTake(limiter uintptr, cost, at uint64) (uint64, Status) {
	t := C.tgo_take{handle: C.uintptr_t(limiter), cost: C.uint64_t(cost), at: C.uint64_t(at)}
	C.tgo_limiter_take(&t)
	return uint64(t.ns), Status(t.status)
}

func libLimiterReserve(limiter uintptr, cost, at, longest uint64) (uint64, Status) {
	var wait C.uint64_t
	status := C.tgo_limiter_reserve(C.uintptr_t(limiter), C.uint64_t(cost), C.uint64_t(at), C.uint64_t(longest), &wait)
	return uint64(wait), Status(status)
}

// reservation is what a limiter reserved.
type reservation struct{ raw C.tg_reservation }

func (r *reservation) wait() uint64 { return uint64(r.raw.wait_ns) }

func libLimiterReservation(limiter uintptr, cost, at, longest uint64) (*reservation, Status) {
	made := &reservation{}
	status := C.tgo_limiter_reservation(C.uintptr_t(limiter), C.uint64_t(cost), C.uint64_t(at), C.uint64_t(longest), &made.raw)
	return made, Status(status)
}

func libLimiterCancel(limiter uintptr, made *reservation, at uint64) Status {
	return Status(C.tgo_limiter_cancel(C.uintptr_t(limiter), &made.raw, C.uint64_t(at)))
}

func libLimiterTokens(limiter uintptr, at uint64) (float64, Status) {
	var tokens C.double
	status := C.tgo_limiter_tokens(C.uintptr_t(limiter), C.uint64_t(at), &tokens)
	return float64(tokens), Status(status)
}

func libLimiterSet(limiter uintptr, options *LimiterOptions, at uint64) error {
	raw, detail := rawLimiter(options), newError()
	status := C.tgo_limiter_set(C.uintptr_t(limiter), &raw, C.uint64_t(at), &detail)
	return fail("set limiter", status, &detail)
}

func libLimiterRetire(limiter uintptr) Status {
	return Status(C.tgo_limiter_retire(C.uintptr_t(limiter)))
}

// libLimiterLocate tells where the state stands: memory of C's that is never unmapped.
func libLimiterLocate(limiter uintptr) (*bucket.Place, Status) {
	place := C.tg_limiter_place{struct_size: C.sizeof_tg_limiter_place}
	if status := C.tgo_limiter_locate(C.uintptr_t(limiter), &place); status != C.TG_OK {
		return nil, Status(status)
	}
	found := &bucket.Place{
		Word:       (*atomic.Uint64)(unsafe.Pointer(place.word)),
		Generation: (*atomic.Uint32)(unsafe.Pointer(place.generation)),
		Life:       uint32(place.life),
		Rejected:   (*atomic.Uint64)(unsafe.Pointer(place.rejected)),
	}
	for i := range found.Sides {
		found.Sides[i] = (*[bucket.SideWords]atomic.Uint64)(unsafe.Pointer(place.numbers[i]))
	}
	return found, statusOK
}
