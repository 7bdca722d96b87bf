package grpc_test

import (
	"context"
	"net"
	"runtime"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/tidegate/tidegate/bindings/go"
	tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
)

const (
	serverUnary  = "grpc.server/grpc.testing.TestService/UnaryCall"
	serverDuplex = "grpc.server/grpc.testing.TestService/FullDuplexCall"
	clientUnary  = "grpc.client/grpc.testing.TestService/UnaryCall"
	clientDuplex = "grpc.client/grpc.testing.TestService/FullDuplexCall"
	clientInput  = "grpc.client/grpc.testing.TestService/StreamingInputCall"
)

// service is a real server's, with handlers that a test chooses.
type service struct {
	pb.UnimplementedTestServiceServer
	unary  func(context.Context) error
	duplex func(pb.TestService_FullDuplexCallServer) error
	input  func(pb.TestService_StreamingInputCallServer) error
}

func (s *service) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	return &pb.SimpleResponse{}, s.unary(ctx)
}

func (s *service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	return s.duplex(stream)
}

func (s *service) StreamingInputCall(stream pb.TestService_StreamingInputCallServer) error {
	return s.input(stream)
}

func open(t *testing.T, rules string, opts ...tidegate.Option) *tidegate.Runtime {
	t.Helper()
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := tidegate.Open(opts...)
	must(t, err)
	t.Cleanup(func() { must(t, rt.Close()) })
	if rules != "" {
		must(t, rt.ApplyRules([]byte(`{"version": 1, "guards": `+rules+`}`)))
	}
	return rt
}

// guardedServer and guardedClient are the two sides' interceptors.
func guardedServer(rt *tidegate.Runtime, options ...tggrpc.Options) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(recovers, tggrpc.UnaryServerInterceptor(rt, options...)),
		grpc.ChainStreamInterceptor(recoversStream, tggrpc.StreamServerInterceptor(rt, options...)),
	}
}

func guardedClient(rt *tidegate.Runtime, options ...tggrpc.Options) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(tggrpc.UnaryClientInterceptor(rt, options...)),
		grpc.WithChainStreamInterceptor(tggrpc.StreamClientInterceptor(rt, options...)),
	}
}

// recovers shows, too, that panics go on.
func recovers(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer recovered(&err)
	return handler(ctx, request)
}

func recoversStream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer recovered(&err)
	return handler(server, stream)
}

func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = status.Errorf(codes.Internal, "panic: %v", cause)
	}
}

// connect runs a server of the service in memory and gives a client of it.
func connect(t *testing.T, s *service, server []grpc.ServerOption, client ...grpc.DialOption) pb.TestServiceClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	return dial(t, s, server, listener, "passthrough:///memory", append(client,
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))...)
}

// connectTCP does the same over the loopback.
func connectTCP(t *testing.T, s *service, server []grpc.ServerOption, client ...grpc.DialOption) pb.TestServiceClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return dial(t, s, server, listener, listener.Addr().String(), client...)
}

func dial(t *testing.T, s *service, options []grpc.ServerOption, listener net.Listener, target string, client ...grpc.DialOption) pb.TestServiceClient {
	t.Helper()
	server := grpc.NewServer(options...)
	pb.RegisterTestServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(target, append(client, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		must(t, <-served)
	})
	return pb.NewTestServiceClient(conn)
}

func stats(t *testing.T, rt *tidegate.Runtime, guard string) tidegate.GuardStats {
	t.Helper()
	g, err := rt.Guard(guard)
	must(t, err)
	s, err := g.Stats()
	must(t, err)
	return s
}

// mustEnd waits until nothing is in flight, and checks that calls ended with
// this outcome and no other, and that nothing was exited twice.
func mustEnd(t *testing.T, rt *tidegate.Runtime, guard string, outcome tidegate.Outcome, calls uint64) {
	t.Helper()
	s := stats(t, rt, guard)
	for total(s.Calls) < calls && t.Context().Err() == nil {
		runtime.Gosched()
		s = stats(t, rt, guard)
	}
	// Figures are read one after the other: those that were read before the last call was counted are read again.
	s = stats(t, rt, guard)
	if s.InFlight != 0 || s.MisusedExits != 0 || s.Calls[outcome] != calls || total(s.Calls) != calls {
		t.Fatalf("%s: want %d of %s, got %+v", guard, calls, outcome, s)
	}
}

func total(calls [6]uint64) (sum uint64) {
	for _, n := range calls {
		sum += n
	}
	return sum
}

func call(ctx context.Context, client pb.TestServiceClient, opts ...grpc.CallOption) error {
	_, err := client.UnaryCall(ctx, &pb.SimpleRequest{}, opts...)
	return err
}

func mustCode(t *testing.T, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("got %v, want %v", err, code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fine(context.Context) error { return nil }
