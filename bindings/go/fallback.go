package tidegate

import (
	"context"
	"errors"
)

// Fallback makes a call and, where it fails, gives what instead gives: a
// default, an older answer, another service's.
//
//	price, err := tidegate.Fallback(ctx, fromService, fromList)
//
// instead gets the error, and stands in for refusals of a guard and errors of
// the call alike; when narrows that down: every one of its functions has to
// accept the error. Nothing stands in for a call whose caller has left (ctx was
// cancelled), and a panic is not an error: it goes on. When instead fails too,
// both errors are returned, joined, the later one first.
//
// instead gets ctx as it is, so a deadline that has passed has passed for it
// too: what should still work then does not look at ctx.
func Fallback[T any](
	ctx context.Context,
	call func(context.Context) (T, error),
	instead func(context.Context, error) (T, error),
	when ...func(error) bool,
) (T, error) {
	value, err := call(ctx)
	if err == nil || errors.Is(ctx.Err(), context.Canceled) || !accepted(err, when) {
		return value, err
	}
	other, otherErr := instead(ctx, err)
	if otherErr != nil {
		return other, errors.Join(otherErr, err)
	}
	return other, nil
}

// IfRefused accepts refusals of guards, for [Fallback] and
// [ResultCacheOptions].
func IfRefused(err error) bool { return errors.Is(err, ErrRefused) }

func accepted(err error, when []func(error) bool) bool {
	for _, accepts := range when {
		if !accepts(err) {
			return false
		}
	}
	return true
}

// Call is [Guard.Do] for a function that gives a value, zero unless fn was run.
func Call[T any](ctx context.Context, g *Guard, fn func(context.Context) (T, error), opts ...CallOption) (value T, err error) {
	err = g.Do(ctx, func(ctx context.Context) (err error) {
		value, err = fn(ctx)
		return err
	}, opts...)
	return value, err
}
