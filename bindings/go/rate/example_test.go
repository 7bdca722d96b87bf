package rate_test

import (
	"fmt"

	"github.com/tidegate/tidegate/bindings/go/rate"
)

// What was written for golang.org/x/time/rate.
func Example() {
	lim := rate.NewLimiter(0.001, 2)
	for range 3 {
		fmt.Println(lim.Allow())
	}
	// Output:
	// true
	// true
	// false
}

// Whoever asks for the name shares the tokens.
func ExampleShared() {
	fmt.Println(rate.Shared("mails", 0.001, 1).Allow())
	fmt.Println(rate.Shared("mails", 0.001, 1).Allow())
	// Output:
	// true
	// false
}
