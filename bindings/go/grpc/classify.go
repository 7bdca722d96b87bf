package grpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tidegate/tidegate/bindings/go"
)

// Classify is the classifier of the interceptors, unless [Options] replace it.
// The first line that fits counts:
//
//   - an error marked by tidegate.WithOutcome: that outcome;
//   - OK: Success;
//   - Canceled, and ctx, the caller's context, was cancelled: Cancelled.
//     Without that nobody left, and a callee that cancels by itself has failed;
//   - DeadlineExceeded: TimedOut;
//   - ResourceExhausted and Unavailable: Overloaded. Unavailable is also what
//     a connection that cannot be made gives, and calls for the same answer:
//     fewer calls, later;
//   - InvalidArgument, NotFound, AlreadyExists, PermissionDenied,
//     Unauthenticated, FailedPrecondition, OutOfRange: Success. The callee is
//     well: it has understood the call and turned it down. Ignored would leave
//     a half-open breaker open for ever when these are all it sees;
//   - Aborted: Ignored. Callers got in each other's way, which says nothing of
//     the callee's health;
//   - all else (Unknown, Internal, DataLoss, Unimplemented, Canceled by the
//     callee, codes not known): Failure.
//
// Errors that are not a status count as gRPC itself sends them: a context's
// error as Canceled or DeadlineExceeded, any other as Unknown.
func Classify(ctx context.Context, err error) tidegate.Outcome {
	if outcome, ok := tidegate.OutcomeOf(err); ok {
		return outcome
	}
	switch code := codeOf(err); code {
	case codes.OK, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied,
		codes.Unauthenticated, codes.FailedPrecondition, codes.OutOfRange:
		return tidegate.Success
	case codes.DeadlineExceeded:
		return tidegate.TimedOut
	case codes.ResourceExhausted, codes.Unavailable:
		return tidegate.Overloaded
	case codes.Aborted:
		return tidegate.Ignored
	case codes.Canceled:
		if errors.Is(ctx.Err(), context.Canceled) {
			return tidegate.Cancelled
		}
	}
	return tidegate.Failure
}

// codeOf is the code that a server would send for err.
func codeOf(err error) codes.Code {
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return status.FromContextError(err).Code()
}
