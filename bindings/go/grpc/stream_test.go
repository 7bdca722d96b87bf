package grpc_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/tidegate/tidegate/bindings/go"
	tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
)

// echo answers each message until the client has said all.
func echo(stream pb.TestService_FullDuplexCallServer) error {
	for {
		if _, err := stream.Recv(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// converse sends one message and gets one.
func converse(t *testing.T, ctx context.Context, client pb.TestServiceClient) pb.TestService_FullDuplexCallClient {
	t.Helper()
	stream, err := client.FullDuplexCall(ctx)
	must(t, err)
	must(t, stream.Send(&pb.StreamingOutputCallRequest{}))
	_, err = stream.Recv()
	must(t, err)
	return stream
}

func TestStreamHoldsItsPermitForItsLife(t *testing.T) {
	one := `{"concurrency": {"max": 1}}`
	rt := open(t, `{"`+serverDuplex+`": `+one+`, "`+clientDuplex+`": `+one+`}`)
	client := connect(t, &service{duplex: echo}, guardedServer(rt), guardedClient(rt)...)
	for round := range uint64(3) {
		stream := converse(t, t.Context(), client)
		if stats(t, rt, serverDuplex).InFlight != 1 || stats(t, rt, clientDuplex).InFlight != 1 {
			t.Fatal("holds no permit")
		}
		_, err := client.FullDuplexCall(t.Context())
		mustCode(t, err, codes.Unavailable)
		must(t, stream.CloseSend())
		_, err = stream.Recv()
		if err != io.EOF {
			t.Fatal(err)
		}
		_, err = stream.Recv() // and again, which must not exit again
		if err != io.EOF {
			t.Fatal(err)
		}
		mustEnd(t, rt, serverDuplex, tidegate.Success, round+1)
		mustEnd(t, rt, clientDuplex, tidegate.Success, round+1)
	}
}

func TestServerRefusesAStreamWithDetails(t *testing.T) {
	rt := open(t, `{"`+serverDuplex+`": {"rate": [{"limit": 1, "per": "1h", "burst": 1}]}}`)
	client := connect(t, &service{duplex: echo}, guardedServer(rt))
	must(t, converse(t, t.Context(), client).CloseSend())
	stream, err := client.FullDuplexCall(t.Context())
	must(t, err)
	_, err = stream.Recv()
	mustCode(t, err, codes.ResourceExhausted)
	if _, retry := details(t, err); retry == nil {
		t.Fatal("no RetryInfo")
	}
	if stream.Trailer().Get("grpc-retry-pushback-ms") == nil {
		t.Fatal(stream.Trailer())
	}
}

func TestStreamThatFailsIsJudgedByItsStatus(t *testing.T) {
	rt := open(t, "")
	client := connect(t, &service{duplex: func(pb.TestService_FullDuplexCallServer) error {
		return status.Error(codes.Unavailable, "full")
	}}, guardedServer(rt), guardedClient(rt)...)
	stream, err := client.FullDuplexCall(t.Context())
	must(t, err)
	_, err = stream.Recv()
	mustCode(t, err, codes.Unavailable)
	mustEnd(t, rt, serverDuplex, tidegate.Overloaded, 1)
	mustEnd(t, rt, clientDuplex, tidegate.Overloaded, 1)
}

func TestPanicInAStreamIsAFailureAndGoesOn(t *testing.T) {
	rt := open(t, "")
	client := connect(t, &service{duplex: func(pb.TestService_FullDuplexCallServer) error { panic("no") }}, guardedServer(rt), guardedClient(rt)...)
	stream, err := client.FullDuplexCall(t.Context())
	must(t, err)
	_, err = stream.Recv()
	mustCode(t, err, codes.Internal)
	mustEnd(t, rt, serverDuplex, tidegate.Failure, 1)
	mustEnd(t, rt, clientDuplex, tidegate.Failure, 1)
}

// Neither side reads to the end: the context's end alone has to be enough.
func TestStreamOfACallerWhoLeavesIsExitedWithoutAnotherRead(t *testing.T) {
	rt := open(t, "")
	client := connect(t, &service{duplex: echo}, guardedServer(rt), guardedClient(rt)...)
	ctx, leave := context.WithCancel(t.Context())
	stream := converse(t, ctx, client)
	leave()
	mustEnd(t, rt, clientDuplex, tidegate.Cancelled, 1)
	mustEnd(t, rt, serverDuplex, tidegate.Cancelled, 1)
	_, err := stream.Recv()
	mustCode(t, err, codes.Canceled)
	mustEnd(t, rt, clientDuplex, tidegate.Cancelled, 1)
}

func TestStreamWithOneAnswerEndsWithIt(t *testing.T) {
	rt := open(t, "")
	client := connect(t, &service{input: func(stream pb.TestService_StreamingInputCallServer) error {
		for {
			if _, err := stream.Recv(); err == io.EOF {
				return stream.SendAndClose(&pb.StreamingInputCallResponse{})
			} else if err != nil {
				return err
			}
		}
	}}, guardedServer(rt), guardedClient(rt)...)
	stream, err := client.StreamingInputCall(t.Context())
	must(t, err)
	must(t, stream.Send(&pb.StreamingInputCallRequest{}))
	_, err = stream.CloseAndRecv()
	must(t, err)
	mustEnd(t, rt, clientInput, tidegate.Success, 1)
}

func TestTimeoutOfTheRulesIsForTheWholeStream(t *testing.T) {
	rt := open(t, `{"`+clientDuplex+`": {"timeout": "1s"}}`, tidegate.WithVirtualClock(time.Hour))
	client := connect(t, &service{duplex: echo}, guardedServer(rt), guardedClient(rt)...)
	stream := converse(t, t.Context(), client)
	must(t, rt.Clock().Advance(time.Second))
	mustEnd(t, rt, clientDuplex, tidegate.TimedOut, 1)
	if _, err := stream.Recv(); err == nil {
		t.Fatal("goes on")
	}
}

func TestStreamThatCannotBeOpenedIsExited(t *testing.T) {
	rt := open(t, "")
	intercept := tggrpc.StreamClientInterceptor(rt)
	told := status.Error(codes.Unavailable, "no connection")
	_, err := intercept(t.Context(), &grpc.StreamDesc{}, nil, "/s/m", opener(nil, told))
	if !errors.Is(err, told) {
		t.Fatal(err)
	}
	mustEnd(t, rt, "grpc.client/s/m", tidegate.Overloaded, 1)
	func() {
		defer func() {
			if recover() != "no" {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = intercept(t.Context(), &grpc.StreamDesc{}, nil, "/s/panics", func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
			panic("no")
		})
	}()
	mustEnd(t, rt, "grpc.client/s/panics", tidegate.Failure, 1)
}

// opener is what a client would be given by the next interceptor.
func opener(stream grpc.ClientStream, err error) grpc.Streamer {
	return func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
		return stream, err
	}
}

// sends is a stream whose SendMsg ends in one way.
type sends struct {
	grpc.ClientStream
	err error
}

func (s sends) SendMsg(any) error { return s.err }

func TestErrorOfASendEndsTheStreamUnlessTheServerHasItsOwn(t *testing.T) {
	rt := open(t, "")
	intercept := tggrpc.StreamClientInterceptor(rt)
	ended, err := intercept(t.Context(), &grpc.StreamDesc{}, nil, "/s/m", opener(sends{err: status.Error(codes.Internal, "cannot marshal")}, nil))
	must(t, err)
	if ended.SendMsg(nil) == nil {
		t.Fatal("sent")
	}
	mustEnd(t, rt, "grpc.client/s/m", tidegate.Failure, 1)
	open, err := intercept(t.Context(), &grpc.StreamDesc{}, nil, "/s/eof", opener(sends{err: io.EOF}, nil))
	must(t, err)
	if err := open.SendMsg(nil); err != io.EOF || stats(t, rt, "grpc.client/s/eof").InFlight != 1 {
		t.Fatal(err)
	}
	runtime.KeepAlive(open)
}

func TestDroppedStreamIsGivenUpByTheCollector(t *testing.T) {
	rt := open(t, "")
	func() {
		_, err := tggrpc.StreamClientInterceptor(rt)(t.Context(), &grpc.StreamDesc{}, nil, "/s/m", opener(sends{}, nil))
		must(t, err)
	}()
	for stats(t, rt, "grpc.client/s/m").InFlight != 0 {
		runtime.GC()
	}
	mustEnd(t, rt, "grpc.client/s/m", tidegate.Ignored, 1)
}
