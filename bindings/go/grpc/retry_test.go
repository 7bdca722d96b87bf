package grpc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tidegate/tidegate/bindings/go"
	tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
	"github.com/tidegate/tidegate/bindings/go/internal/clocktest"
)

const (
	// atOnce tries again without a wait, so that no clock need move.
	atOnce = `{"retry": {"max_attempts": 3, "backoff": {"growth": "constant", "base": "0s", "jitter": "none"}}}`

	unaryAtOnce = `{"` + clientUnary + `": ` + atOnce + `}`
)

// every method may be called twice.
var every = tggrpc.Options{Idempotent: func(string) bool { return true }}

// failing serves calls of which the first ones fail.
func failing(calls *atomic.Int32, failures int32, code codes.Code) *service {
	return &service{unary: func(context.Context) error {
		if calls.Add(1) <= failures {
			return status.Error(code, "told")
		}
		return nil
	}}
}

func TestCallsOfIdempotentMethodsAreMadeAgain(t *testing.T) {
	safe := tggrpc.Options{SafeCodes: []codes.Code{codes.Unavailable}}
	for _, c := range []struct {
		what    string
		code    codes.Code
		options tggrpc.Options
		want    int32
	}{
		{"nobody says that it may be", codes.Unavailable, tggrpc.Options{}, 1},
		{"idempotent", codes.Unavailable, every, 3},
		{"another method is", codes.Unavailable, tggrpc.Options{Idempotent: func(m string) bool { return m == "/shop.Cart/Get" }}, 1},
		{"a safe code", codes.Unavailable, safe, 3},
		{"another code is safe", codes.Internal, safe, 1},
		{"it is a failure", codes.Internal, every, 3},
		{"it has answered", codes.NotFound, every, 1},
		{"callers met", codes.Aborted, every, 1},
		{"no such method", codes.Unimplemented, every, 1},
		{"lost for ever", codes.DataLoss, every, 1},
		{"no such method, and safe", codes.Unimplemented, tggrpc.Options{SafeCodes: []codes.Code{codes.Unimplemented}}, 3},
	} {
		var calls atomic.Int32
		rt := open(t, unaryAtOnce, tidegate.WithVirtualClock(time.Hour))
		err := call(t.Context(), connect(t, failing(&calls, 2, c.code), nil, guardedClient(rt, c.options)...))
		if calls.Load() != c.want || (err == nil) != (c.want == 3) {
			t.Errorf("%s: %d calls, %v", c.what, calls.Load(), err)
		}
		if s := stats(t, rt, clientUnary); total(s.Calls) != uint64(c.want) || s.Retries != uint64(c.want-1) || s.InFlight != 0 {
			t.Errorf("%s: %+v", c.what, s)
		}
	}
}

func TestMetricsSayThatTheMethodIsNotIdempotent(t *testing.T) {
	var calls atomic.Int32
	rt := open(t, unaryAtOnce, tidegate.WithVirtualClock(time.Hour))
	mustCode(t, call(t.Context(), connect(t, failing(&calls, 1, codes.Unavailable), nil, guardedClient(rt)...)), codes.Unavailable)
	var text strings.Builder
	_, err := rt.WriteMetrics(&text, "")
	must(t, err)
	if want := `tidegate_retry_attempts_total{guard="` + clientUnary + `",result="not_idempotent"} 1`; !strings.Contains(text.String(), want) {
		t.Fatal(text.String())
	}
}

func TestLastAnswerComesOutAsItIs(t *testing.T) {
	var calls atomic.Int32
	rt := open(t, unaryAtOnce, tidegate.WithVirtualClock(time.Hour))
	client := connect(t, failing(&calls, 99, codes.Unavailable), nil, guardedClient(rt, every)...)
	err := call(t.Context(), client)
	if s := status.Convert(err); calls.Load() != 3 || s.Code() != codes.Unavailable || s.Message() != "told" {
		t.Fatal(calls.Load(), err)
	}
}

func TestWhichCodesAreTriedAgainIsReplaceable(t *testing.T) {
	var calls atomic.Int32
	rt := open(t, unaryAtOnce, tidegate.WithVirtualClock(time.Hour))
	options := tggrpc.Options{Idempotent: every.Idempotent, Classify: func(_ context.Context, err error) tidegate.Outcome {
		if status.Code(err) == codes.NotFound {
			return tidegate.Failure
		}
		return tggrpc.Classify(t.Context(), err)
	}}
	must(t, call(t.Context(), connect(t, failing(&calls, 2, codes.NotFound), nil, guardedClient(rt, options)...)))
}

func TestBudgetIsTheGuards(t *testing.T) {
	var calls atomic.Int32
	rt := open(t, `{"`+clientUnary+`": {"retry": {"max_attempts": 9, "backoff": {"growth": "constant", "base": "0s", "jitter": "none"},
		"budget": {"ratio": 0.001, "min_per_sec": 0.4}}}}`, tidegate.WithVirtualClock(time.Hour))
	client := connect(t, failing(&calls, 99, codes.Unavailable), nil, guardedClient(rt, every)...)
	for range 5 {
		mustCode(t, call(t.Context(), client), codes.Unavailable)
	}
	if calls.Load() != 5+4 {
		t.Fatal(calls.Load())
	}
}

// waits is how long a call waited whose server said so, and how often it was made.
func waits(t *testing.T, rt *tidegate.Runtime, ctx context.Context, answer func(context.Context) error) (waited time.Duration, calls int32) {
	var made atomic.Int32
	client := connect(t, &service{unary: func(ctx context.Context) error {
		if made.Add(1) == 1 {
			return answer(ctx)
		}
		return nil
	}}, nil, guardedClient(rt, every)...)
	start := rt.Clock().Now()
	_ = call(ctx, client)
	return rt.Clock().Now() - start, made.Load()
}

// pushes answers with these trailers.
func pushes(values ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, value := range values {
			_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", value))
		}
		return status.Error(codes.Unavailable, "told")
	}
}

func informs(context.Context) error {
	s, err := status.New(codes.Unavailable, "told").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
	return errors.Join(err, s.Err())
}

func TestServersWordOnWhenToComeBackIsHeeded(t *testing.T) {
	for _, c := range []struct {
		what   string
		answer func(context.Context) error
		want   time.Duration
		calls  int32
	}{
		{"a minute", pushes("60000"), time.Minute, 2},
		{"at once", pushes("0"), 0, 2},
		{"never", pushes("-1"), 0, 1},
		{"no number", pushes("soon"), 0, 1},
		{"two of them", pushes("1", "2"), 0, 1},
		{"RetryInfo", informs, time.Minute, 2},
		{"trailer before RetryInfo", func(ctx context.Context) error { _ = pushes("-1")(ctx); return informs(ctx) }, 0, 1},
	} {
		rt := open(t, unaryAtOnce, tidegate.WithVirtualClock(time.Hour))
		clocktest.MoveOn(t, rt, time.Minute)
		waited, calls := waits(t, rt, t.Context(), c.answer)
		if calls != c.calls || waited != c.want {
			t.Errorf("%s: %d calls, waited %v", c.what, calls, waited)
		}
	}
}

func TestNoAttemptIsBegunPastTheDeadline(t *testing.T) {
	rt := open(t, unaryAtOnce, tidegate.WithVirtualClock(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if waited, calls := waits(t, rt, ctx, pushes("60000")); calls != 1 || waited != 0 {
		t.Fatalf("%d calls, waited %v", calls, waited)
	}
}

func TestRefusalOfTheClientsGuardIsTriedAgainWhateverTheMethod(t *testing.T) {
	rt := open(t, `{"`+clientUnary+`": {"rate": [{"limit": 1, "per": "1m", "burst": 1}], "retry": {}}}`, tidegate.WithVirtualClock(time.Hour))
	clocktest.MoveOn(t, rt, time.Minute)
	client := connect(t, &service{unary: fine}, nil, guardedClient(rt)...)
	for range 3 {
		must(t, call(t.Context(), client))
	}
	if s := stats(t, rt, clientUnary); s.Rejected[tidegate.StageRate] == 0 || s.RetryBudget != 10 {
		t.Fatalf("%+v", s)
	}
}

func TestRefusalOfTheServersGuardIsWaitedFor(t *testing.T) {
	rt := open(t, `{"`+clientUnary+`": `+atOnce+`, "`+serverUnary+`": {"rate": [{"limit": 1, "per": "1m", "burst": 1}]}}`,
		tidegate.WithVirtualClock(time.Hour))
	client := connect(t, &service{unary: fine}, guardedServer(rt), guardedClient(rt, every)...)
	must(t, call(t.Context(), client))
	start := rt.Clock().Now()
	clocktest.MoveOn(t, rt, time.Minute)
	must(t, call(t.Context(), client))
	if waited := rt.Clock().Now() - start; waited != time.Minute {
		t.Fatal(waited)
	}
}

func TestOptionsOfTheCallerAreKept(t *testing.T) {
	rt := open(t, unaryAtOnce, tidegate.WithVirtualClock(time.Hour))
	var trailer metadata.MD
	client := connect(t, &service{unary: pushes("-1")}, nil, guardedClient(rt, every)...)
	mustCode(t, call(t.Context(), client, grpc.Trailer(&trailer)), codes.Unavailable)
	if !slices.Equal(trailer.Get("grpc-retry-pushback-ms"), []string{"-1"}) {
		t.Fatal(trailer)
	}
}

func TestOpeningOfAStreamIsTriedAgain(t *testing.T) {
	rt := open(t, `{"grpc.client/s/m": `+atOnce+`}`, tidegate.WithVirtualClock(time.Hour))
	attempts := 0
	opens := func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
		if attempts++; attempts < 3 {
			return nil, status.Error(codes.Unavailable, "no connection")
		}
		return sends{err: status.Error(codes.Internal, "cannot marshal")}, nil
	}
	stream, err := tggrpc.StreamClientInterceptor(rt)(t.Context(), &grpc.StreamDesc{}, nil, "/s/m", opens)
	must(t, err)
	if s := stats(t, rt, "grpc.client/s/m"); attempts != 3 || s.InFlight != 1 || s.Calls[tidegate.Overloaded] != 2 {
		t.Fatalf("%d attempts, %+v", attempts, s)
	}
	if stream.SendMsg(nil) == nil || attempts != 3 || stats(t, rt, "grpc.client/s/m").InFlight != 0 {
		t.Fatal("tried again what was open")
	}
}

func TestErrorOfAnOpenStreamIsNotTriedAgain(t *testing.T) {
	rt := open(t, `{"`+clientDuplex+`": `+atOnce+`}`, tidegate.WithVirtualClock(time.Hour))
	var calls atomic.Int32
	client := connect(t, &service{duplex: func(pb.TestService_FullDuplexCallServer) error {
		calls.Add(1)
		return status.Error(codes.Unavailable, "full")
	}}, nil, guardedClient(rt, every)...)
	stream, err := client.FullDuplexCall(t.Context())
	must(t, err)
	_, err = stream.Recv()
	mustCode(t, err, codes.Unavailable)
	mustEnd(t, rt, clientDuplex, tidegate.Overloaded, 1)
	if calls.Load() != 1 {
		t.Fatal(calls.Load())
	}
}
