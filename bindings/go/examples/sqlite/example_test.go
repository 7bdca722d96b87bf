//go:build cgo && linux && !tidegate_passthrough

package main

import "context"

func Example() {
	if err := run(context.Background()); err != nil {
		panic(err)
	}
	// Output:
	// 2 anchor
	// 1 rope
	// delete was refused by rate
}
