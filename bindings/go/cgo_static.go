//go:build cgo && linux && !tidegate_passthrough && tidegate_static

package tidegate

// #cgo pkg-config: tidegate-static
import "C"
