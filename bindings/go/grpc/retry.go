package grpc

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tidegate/tidegate/bindings/go"
)

// try makes the attempts at a call that its guard's rules allow. Each asks the
// guard; then attempt ends its call, or leaves that to the stream.
func (s *side) try(ctx context.Context, method string, again retries, attempt func(*call) tidegate.Attempt) error {
	name := s.guard(method)
	if name == "" {
		return attempt(s.newCall(ctx)).Err
	}
	opts := s.about(ctx, method)
	if again.once() {
		opts = append(opts[:len(opts):len(opts)], tidegate.WithOnce())
	}
	next := func(opts []tidegate.CallOption) tidegate.Attempt {
		c := s.newCall(ctx)
		if err := s.enterGuard(name, opts, c); err != nil {
			return tidegate.Attempt{Err: err, Outcome: tidegate.Cancelled, Refused: errors.Is(err, tidegate.ErrRefused)}
		}
		return attempt(c)
	}
	guard, err := s.rt.Guard(name)
	if err != nil { // which the call's entry tells
		return next(opts).Err
	}
	return guard.RetryAttempts(ctx, next, opts...)
}

func (s *side) newCall(ctx context.Context) *call {
	return &call{classify: s.options.Classify, caller: ctx}
}

// retries say which errors of a method allow another attempt.
type retries struct {
	idempotent bool
	safe       []codes.Code
}

// openings are the retries of what has carried no message yet.
var openings = retries{idempotent: true}

func (s *side) unaryRetries(method string) retries {
	idempotent := s.options.Idempotent
	return retries{idempotent != nil && idempotent(method), s.options.SafeCodes}
}

// once says that there is no error which allows another attempt.
func (r retries) once() bool { return !r.idempotent && len(r.safe) == 0 }

// judge is what an attempt ended with.
func (r retries) judge(err error, outcome tidegate.Outcome, trailer metadata.MD) tidegate.Attempt {
	if err == nil {
		return tidegate.Attempt{}
	}
	final := !r.once() && !r.allow(codeOf(err)) // the guard says by itself why there is no other of once
	return tidegate.Attempt{Err: err, Outcome: outcome, Final: final, RetryAfter: retryAfter(err, trailer)}
}

func (r retries) allow(code codes.Code) bool {
	return slices.Contains(r.safe, code) || r.idempotent && code != codes.Unimplemented && code != codes.DataLoss
}

// retryAfter is when the server said to come back; 0: it did not say.
func retryAfter(err error, trailer metadata.MD) time.Duration {
	if told := trailer.Get(pushback); len(told) > 0 {
		ms, err := strconv.ParseUint(told[0], 10, 31)
		if err != nil || len(told) > 1 {
			return tidegate.NeverRetry
		}
		return time.Duration(ms) * time.Millisecond
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return max(info.RetryDelay.AsDuration(), 0)
		}
	}
	return 0
}
