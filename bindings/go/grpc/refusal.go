package grpc

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tidegate/tidegate/bindings/go"
)

// Domain is the domain of the ErrorInfo that refusals carry.
const Domain = "tidegate"

// Refusal is the gRPC error for what Guard.Enter returned:
//
//   - a refusal by rate is ResourceExhausted, one by any other stage is
//     Unavailable, which says that the same call may pass later;
//   - a context's error is Canceled or DeadlineExceeded;
//   - an error of the library, under WithFailClosed, is Unavailable.
//
// A refusal's status has two details: ErrorInfo, with the reason "REFUSED", the
// [Domain] and the guard, the stage and the stage's own reason as metadata; and,
// where it is known when the call has a chance again, RetryInfo. errors.As
// still finds the tidegate.RefusedError in the process that refused.
//
// Errors that are gRPC's already, and nil, stay as they are.
func Refusal(err error) error {
	var refused *tidegate.RefusedError
	var library *tidegate.Error
	if _, isStatus := status.FromError(err); isStatus {
		return err
	}
	switch {
	case errors.As(err, &refused):
		return &refusal{err, refusedStatus(refused)}
	case errors.As(err, &library):
		return &refusal{err, status.New(codes.Unavailable, err.Error())}
	}
	return &refusal{err, status.FromContextError(err)}
}

// refusal is an error with a status, and all that the error was.
type refusal struct {
	error
	status *status.Status
}

func (r *refusal) Unwrap() error              { return r.error }
func (r *refusal) GRPCStatus() *status.Status { return r.status }

func refusedStatus(refused *tidegate.RefusedError) *status.Status {
	code := codes.Unavailable
	if refused.Stage == tidegate.StageRate {
		code = codes.ResourceExhausted
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Reason: "REFUSED", Domain: Domain,
		Metadata: map[string]string{
			"guard": refused.Guard, "stage": refused.Stage.String(),
			"reason": strconv.FormatUint(uint64(refused.Reason), 10),
		},
	}}
	if refused.RetryAfter > 0 && refused.RetryAfter != tidegate.NeverRetry {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(refused.RetryAfter)})
	}
	plain := status.New(code, refused.Error())
	if detailed, err := plain.WithDetails(details...); err == nil {
		return detailed
	}
	return plain
}

// pushback is the trailer by which a server tells the retries that are built
// into gRPC clients (proposal A6) when to come back, in milliseconds; below
// zero: not at all.
const pushback = "grpc-retry-pushback-ms"

// answer turns what a server's handler or guard ended with into what is sent.
// An inner guard's refusal is told as such, not as Unknown.
func answer(ctx context.Context, err error) error {
	var refused *tidegate.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case refused.RetryAfter == tidegate.NeverRetry:
		_ = grpc.SetTrailer(ctx, metadata.Pairs(pushback, "-1"))
	case refused.RetryAfter > 0:
		ms := (refused.RetryAfter.Nanoseconds() + 999_999) / 1_000_000
		_ = grpc.SetTrailer(ctx, metadata.Pairs(pushback, strconv.FormatInt(ms, 10)))
	}
	return Refusal(err)
}
