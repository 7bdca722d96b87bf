//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#cgo noescape tgo_counter_add
#cgo nocallback tgo_counter_add
#cgo noescape tgo_gauge_set
#cgo nocallback tgo_gauge_set
#cgo noescape tgo_gauge_add
#cgo nocallback tgo_gauge_add
#cgo noescape tgo_histogram_record
#cgo nocallback tgo_histogram_record
#include <tidegate.h>

// One structure and no result: see cgo_guard.go.
typedef struct tgo_record {
	uintptr_t handle;
	uint64_t n;
	double value;
	int32_t status;
} tgo_record;

// One resolver for the three kinds: they differ in the type of handle only.
static tg_status tgo_instrument_resolve(int32_t kind, uintptr_t runtime, const tg_instrument *desc,
                                        uintptr_t *out, tg_error *error) {
	const tg_runtime *rt = (const tg_runtime *)runtime;
	const tg_counter *counter = NULL;
	const tg_gauge *gauge = NULL;
	const tg_histogram *histogram = NULL;
	tg_status status = kind == 0 ? tg_counter_resolve(rt, desc, &counter, error)
	                 : kind == 1 ? tg_gauge_resolve(rt, desc, &gauge, error)
	                             : tg_histogram_resolve(rt, desc, &histogram, error);
	*out = kind == 0 ? (uintptr_t)counter : kind == 1 ? (uintptr_t)gauge : (uintptr_t)histogram;
	return status;
}

static tg_status tgo_instrument_retire(int32_t kind, uintptr_t handle) {
	return kind == 0 ? tg_counter_retire((const tg_counter *)handle)
	     : kind == 1 ? tg_gauge_retire((const tg_gauge *)handle)
	                 : tg_histogram_retire((const tg_histogram *)handle);
}

static void tgo_counter_add(tgo_record *r) {
	r->status = tg_counter_add((const tg_counter *)r->handle, r->n);
}

static tg_status tgo_counter_value(uintptr_t counter, uint64_t *out) {
	return tg_counter_value((const tg_counter *)counter, out);
}

static void tgo_gauge_set(tgo_record *r) {
	r->status = tg_gauge_set((const tg_gauge *)r->handle, r->value);
}

static void tgo_gauge_add(tgo_record *r) {
	r->status = tg_gauge_add((const tg_gauge *)r->handle, r->value);
}

static tg_status tgo_gauge_value(uintptr_t gauge, double *out) {
	return tg_gauge_value((const tg_gauge *)gauge, out);
}

static void tgo_histogram_record(tgo_record *r) {
	r->status = tg_histogram_record((const tg_histogram *)r->handle, r->value);
}

static tg_status tgo_histogram_record_all(uintptr_t histogram, const double *values, size_t n) {
	tg_status worst = TG_OK;
	for (size_t i = 0; i < n; i++) {
		tg_status status = tg_histogram_record((const tg_histogram *)histogram, values[i]);
		if (status != TG_OK) worst = status;
	}
	return worst;
}

static tg_status tgo_histogram_quantile(uintptr_t histogram, double q, double *out) {
	return tg_histogram_quantile((const tg_histogram *)histogram, q, out);
}
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// pinStr is toStr for a string that stands in a structure: C may not be given
// Go memory that points to Go memory, unless that is pinned.
func pinStr(pinner *runtime.Pinner, s string) C.tg_str {
	if s == "" {
		return C.tg_str{}
	}
	pinner.Pin(unsafe.StringData(s))
	return toStr(s)
}

func pinLabels(pinner *runtime.Pinner, labels []Label) *C.tg_label {
	if len(labels) == 0 {
		return nil
	}
	pinned := make([]C.tg_label, len(labels))
	for i, l := range labels {
		pinned[i] = C.tg_label{name: pinStr(pinner, l.Name), value: pinStr(pinner, l.Value)}
	}
	pinner.Pin(&pinned[0])
	return &pinned[0]
}

func libInstrumentResolve(kind instrumentKind, rt uintptr, desc Instrument, labels []Label) (uintptr, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	raw := C.tg_instrument{
		struct_size: C.sizeof_tg_instrument, label_count: C.uint32_t(len(labels)),
		name: pinStr(&pinner, desc.Name), help: pinStr(&pinner, desc.Help), unit: pinStr(&pinner, desc.Unit),
		labels: pinLabels(&pinner, labels),
	}
	var handle C.uintptr_t
	detail := newError()
	status := C.tgo_instrument_resolve(C.int32_t(kind), C.uintptr_t(rt), &raw, &handle, &detail)
	return uintptr(handle), fail(kind.String()+" "+desc.Name, status, &detail)
}

func libInstrumentRetire(kind instrumentKind, handle uintptr) Status {
	return Status(C.tgo_instrument_retire(C.int32_t(kind), C.uintptr_t(handle)))
}

func libCounterAdd(counter uintptr, n uint64) Status {
	r := C.tgo_record{handle: C.uintptr_t(counter), n: C.uint64_t(n)}
	C.tgo_counter_add(&r)
	return Status(r.status)
}

func libCounterValue(counter uintptr) (uint64, Status) {
	var value C.uint64_t
	status := C.tgo_counter_value(C.uintptr_t(counter), &value)
	return uint64(value), Status(status)
}

func libGaugeSet(gauge uintptr, value float64) Status {
	r := C.tgo_record{handle: C.uintptr_t(gauge), value: C.double(value)}
	C.tgo_gauge_set(&r)
	return Status(r.status)
}

func libGaugeAdd(gauge uintptr, delta float64) Status {
	r := C.tgo_record{handle: C.uintptr_t(gauge), value: C.double(delta)}
	C.tgo_gauge_add(&r)
	return Status(r.status)
}

func libGaugeValue(gauge uintptr) (float64, Status) {
	var value C.double
	status := C.tgo_gauge_value(C.uintptr_t(gauge), &value)
	return float64(value), Status(status)
}

func libHistogramRecord(histogram uintptr, value float64) Status {
	r := C.tgo_record{handle: C.uintptr_t(histogram), value: C.double(value)}
	C.tgo_histogram_record(&r)
	return Status(r.status)
}

func libHistogramRecordAll(histogram uintptr, values []float64) Status {
	return Status(C.tgo_histogram_record_all(C.uintptr_t(histogram),
		(*C.double)(unsafe.SliceData(values)), C.size_t(len(values))))
}

func libHistogramQuantile(histogram uintptr, q float64) (float64, Status) {
	var value C.double
	status := C.tgo_histogram_quantile(C.uintptr_t(histogram), C.double(q), &value)
	return float64(value), Status(status)
}
