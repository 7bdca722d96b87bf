//go:build cgo && linux && !tidegate_passthrough

package tidegate

/*
#include <tidegate.h>
*/
import "C"

import "unsafe"

const available = true

// toStr lends a string to C for one call.
func toStr(s string) C.tg_str {
	return C.tg_str{ptr: (*C.char)(unsafe.Pointer(unsafe.StringData(s))), len: C.size_t(len(s))}
}

// bytesOf looks at bytes that C owns, without a copy.
func bytesOf(s C.tg_str) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(s.ptr)), int(s.len))
}

func newError() C.tg_error { return C.tg_error{struct_size: C.sizeof_tg_error} }

// fail makes the error for a status other than TG_OK.
func fail(op string, status C.tg_status, detail *C.tg_error) error {
	if status == C.TG_OK {
		return nil
	}
	e := &Error{Op: op, Status: Status(status)}
	if detail != nil {
		e.Message = C.GoString(&detail.message[0])
	}
	return e
}

func libVersion() string { return C.GoString(C.tg_version()) }

func libFeatures() uint64 { return uint64(C.tg_features()) }
