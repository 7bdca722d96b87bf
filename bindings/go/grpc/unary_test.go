package grpc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tidegate/tidegate/bindings/go"
	tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
)

func TestUnaryCallIsGuardedOnBothSides(t *testing.T) {
	rt := open(t, "")
	s := &service{unary: fine}
	for i, connect := range []func(*testing.T, *service, []grpc.ServerOption, ...grpc.DialOption) pb.TestServiceClient{connect, connectTCP} {
		client := connect(t, s, guardedServer(rt), guardedClient(rt)...)
		must(t, call(t.Context(), client))
		mustEnd(t, rt, serverUnary, tidegate.Success, uint64(i+1))
		mustEnd(t, rt, clientUnary, tidegate.Success, uint64(i+1))
	}
}

func TestRefusalByRateOnTheServerIsResourceExhausted(t *testing.T) {
	rt := open(t, `{"`+serverUnary+`": {"rate": [{"limit": 1, "per": "90s", "burst": 1}]}}`, tidegate.WithVirtualClock(time.Hour))
	client := connect(t, &service{unary: fine}, guardedServer(rt))
	must(t, call(t.Context(), client))
	var trailer metadata.MD
	err := call(t.Context(), client, grpc.Trailer(&trailer))
	mustCode(t, err, codes.ResourceExhausted)
	info, retry := details(t, err)
	if info.Reason != "REFUSED" || info.Domain != tggrpc.Domain || info.Metadata["stage"] != "rate" || info.Metadata["guard"] != serverUnary {
		t.Fatal(info)
	}
	if retry == nil || retry.RetryDelay.AsDuration() != 90*time.Second {
		t.Fatal(retry)
	}
	if got := trailer.Get("grpc-retry-pushback-ms"); len(got) != 1 || got[0] != "90000" {
		t.Fatal(trailer)
	}
}

func details(t *testing.T, err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.RetryInfo:
			retry = detail
		}
	}
	if info == nil {
		t.Fatal("no ErrorInfo in", err)
	}
	return info, retry
}

func TestRefusalOnTheClientIsAStatusAndARefusedError(t *testing.T) {
	rt := open(t, `{"`+clientUnary+`": {"concurrency": {"max": 1}}}`)
	g, err := rt.Guard(clientUnary)
	must(t, err)
	held, err := g.Enter(t.Context())
	must(t, err)
	client := connect(t, &service{unary: func(context.Context) error { panic("was called") }}, guardedServer(rt), guardedClient(rt)...)
	err = call(t.Context(), client)
	mustCode(t, err, codes.Unavailable)
	var refused *tidegate.RefusedError
	if !errors.As(err, &refused) || refused.Stage != tidegate.StageConcurrency || !errors.Is(err, tidegate.ErrRefused) {
		t.Fatal(err)
	}
	if info, retry := details(t, err); info.Metadata["stage"] != "concurrency" || retry != nil {
		t.Fatal(info, retry)
	}
	must(t, held.Exit(tidegate.Success))
}

func TestHopelessCostTellsRetriesToStop(t *testing.T) {
	rt := open(t, `{"`+serverUnary+`": {"rate": [{"limit": 1, "burst": 1}]}}`, tidegate.WithVirtualClock(time.Hour))
	costly := tggrpc.Options{Call: func(context.Context, string) []tidegate.CallOption {
		return []tidegate.CallOption{tidegate.WithCost(5)}
	}}
	var trailer metadata.MD
	err := call(t.Context(), connect(t, &service{unary: fine}, guardedServer(rt, costly)), grpc.Trailer(&trailer))
	mustCode(t, err, codes.ResourceExhausted)
	if got := trailer.Get("grpc-retry-pushback-ms"); len(got) != 1 || got[0] != "-1" {
		t.Fatal(trailer)
	}
}

func TestRefusalOfAnInnerGuardIsToldAsOne(t *testing.T) {
	rt := open(t, `{"inner": {"rate": [{"limit": 1, "per": "1h", "burst": 1}]}}`)
	inner, err := rt.Guard("inner")
	must(t, err)
	client := connect(t, &service{unary: func(ctx context.Context) error {
		return inner.Do(ctx, fine)
	}}, guardedServer(rt))
	must(t, call(t.Context(), client))
	err = call(t.Context(), client)
	mustCode(t, err, codes.ResourceExhausted)
	if info, _ := details(t, err); info.Metadata["guard"] != "inner" {
		t.Fatal(info)
	}
	if s := stats(t, rt, serverUnary); s.Calls[tidegate.Overloaded] != 1 || s.Calls[tidegate.Success] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestCodesAreClassifiedOnBothSides(t *testing.T) {
	for code, want := range map[codes.Code]tidegate.Outcome{
		codes.OK: tidegate.Success, codes.NotFound: tidegate.Success, codes.InvalidArgument: tidegate.Success,
		codes.AlreadyExists: tidegate.Success, codes.PermissionDenied: tidegate.Success, codes.Unauthenticated: tidegate.Success,
		codes.FailedPrecondition: tidegate.Success, codes.OutOfRange: tidegate.Success,
		codes.Aborted: tidegate.Ignored, codes.Canceled: tidegate.Failure, codes.DeadlineExceeded: tidegate.TimedOut,
		codes.ResourceExhausted: tidegate.Overloaded, codes.Unavailable: tidegate.Overloaded,
		codes.Unknown: tidegate.Failure, codes.Internal: tidegate.Failure, codes.DataLoss: tidegate.Failure,
		codes.Unimplemented: tidegate.Failure, codes.Code(77): tidegate.Failure,
	} {
		rt := open(t, "")
		client := connect(t, &service{unary: func(context.Context) error { return status.Error(code, "told") }}, guardedServer(rt), guardedClient(rt)...)
		if err := call(t.Context(), client); status.Code(err) != code {
			t.Errorf("%v became %v", code, err)
		}
		mustEnd(t, rt, serverUnary, want, 1)
		mustEnd(t, rt, clientUnary, want, 1)
	}
}

func TestClassifyKnowsMarksAndContexts(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	for _, c := range []struct {
		err  error
		want tidegate.Outcome
	}{
		{nil, tidegate.Success},
		{errors.New("plain"), tidegate.Failure},
		{context.DeadlineExceeded, tidegate.TimedOut},
		{context.Canceled, tidegate.Failure},
		{tidegate.WithOutcome(status.Error(codes.Internal, "known"), tidegate.Ignored), tidegate.Ignored},
	} {
		if got := tggrpc.Classify(ctx, c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
	leave()
	if got := tggrpc.Classify(ctx, status.Error(codes.Canceled, "left")); got != tidegate.Cancelled {
		t.Error(got)
	}
}

func TestPanicOfAHandlerIsAFailureAndGoesOn(t *testing.T) {
	rt := open(t, "")
	client := connect(t, &service{unary: func(context.Context) error { panic("no") }}, guardedServer(rt))
	mustCode(t, call(t.Context(), client), codes.Internal)
	mustEnd(t, rt, serverUnary, tidegate.Failure, 1)
}

func TestCallerWhoLeavesIsCancelledOnBothSides(t *testing.T) {
	rt := open(t, "")
	ctx, leave := context.WithCancel(t.Context())
	client := connect(t, &service{unary: func(inner context.Context) error {
		leave()
		<-inner.Done()
		return inner.Err()
	}}, guardedServer(rt), guardedClient(rt)...)
	mustCode(t, call(ctx, client), codes.Canceled)
	mustEnd(t, rt, clientUnary, tidegate.Cancelled, 1)
	mustEnd(t, rt, serverUnary, tidegate.Cancelled, 1)
}

// The rules of the client's guard set the time; grpc-timeout carries it, less
// what has passed, to the server, whose guard and handler are bound by it.
func TestDeadlineOfTheClientsRulesReachesTheServer(t *testing.T) {
	rt := open(t, `{"`+clientUnary+`": {"timeout": "1h"}, "`+serverUnary+`": {"timeout": "24h"}}`)
	before := time.Now()
	client := connect(t, &service{unary: func(ctx context.Context) error {
		deadline, ok := ctx.Deadline()
		if latest := time.Now().Add(time.Hour); !ok || deadline.Before(before.Add(59*time.Minute)) || deadline.After(latest) {
			t.Errorf("deadline %s, %v", deadline, ok)
		}
		return nil
	}}, guardedServer(rt), guardedClient(rt)...)
	must(t, call(t.Context(), client))
}

func TestDeadlineOfTheServersRulesEndsTheHandler(t *testing.T) {
	clock := tidegate.WithVirtualClock(time.Hour)
	rt := open(t, `{"`+serverUnary+`": {"timeout": "1s"}}`, clock)
	client := connect(t, &service{unary: func(ctx context.Context) error {
		must(t, rt.Clock().Advance(time.Second))
		<-ctx.Done()
		return ctx.Err()
	}}, guardedServer(rt))
	mustCode(t, call(t.Context(), client), codes.DeadlineExceeded)
	mustEnd(t, rt, serverUnary, tidegate.TimedOut, 1)
}

func TestCallWithoutTimeLeftIsRefusedByTheClient(t *testing.T) {
	rt := open(t, "")
	client := connect(t, &service{unary: fine}, guardedServer(rt), guardedClient(rt)...)
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	err := call(late, client)
	if !errors.Is(err, tidegate.ErrRefusedDeadline) {
		t.Fatal(err)
	}
	mustCode(t, err, codes.Unavailable)
}
