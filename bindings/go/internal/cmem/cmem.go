//go:build cgo && linux

// Package cmem counts the memory that C has allocated, for tests that look for
// leaks.
package cmem

/*
#include <malloc.h>
*/
import "C"

// InUse is the number of bytes that malloc has handed out, over all arenas.
func InUse() uint64 {
	info := C.mallinfo2()
	return uint64(info.uordblks) + uint64(info.hblkhd)
}
