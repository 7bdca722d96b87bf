//go:build cgo && linux && !tidegate_passthrough && !tidegate_static

package tidegate

// The two ways to link stand in files of their own: the build cache tells
// builds apart by their files, not by what pkg-config is asked for.

// #cgo pkg-config: tidegate
import "C"
