// Package tidegate guards calls with limits and breakers, and counts what
// happens to them. It is the Go face of libtidegate, through its C interface.
//
//	rt, err := tidegate.Open()
//	...
//	defer rt.Close()
//	err = rt.ApplyRules(document)
//	...
//	payments, err := rt.Guard("payments.charge")
//	...
//	err = payments.Do(ctx, func(ctx context.Context) error {
//		return charge(ctx, order)
//	})
//	if errors.Is(err, tidegate.ErrRefused) {
//		// charge was not called; errors.As with *RefusedError says why
//	}
//
// # Threads
//
// Every method of [Runtime], [Guard], [Counter], [Gauge], [Histogram] and
// [Clock] may be called from any number of goroutines at once. A [Permit]
// belongs to one goroutine at a time: it may be handed on, not shared.
//
// # Cost
//
// [Guard.Enter] and [Permit.Exit] are one call into C each. Neither allocates
// for a call that passes; a refusal allocates its error. Nothing blocks, save
// where the rules or a policy ask for a wait before the call starts.
//
// # Faults of the library
//
// A fault of ours is not an outage of yours. Where the library cannot answer
// (it was closed, it is full, it has a fault), a guard lets the call pass and
// counts it in [Runtime.Faults]. [WithFailClosed] turns that round.
//
// # Systems without the library
//
// Built without cgo, for a system other than Linux, or with the tag
// tidegate_passthrough, the package has the same interface and lets every call
// pass; [Available] and [Runtime.PassThrough] say so, and what cannot be
// answered honestly returns [ErrUnavailable].
package tidegate
