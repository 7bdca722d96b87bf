// Package grpc guards gRPC calls, on both sides, unary and streaming.
//
//	import tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
//
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(tggrpc.UnaryServerInterceptor(rt)),
//		grpc.ChainStreamInterceptor(tggrpc.StreamServerInterceptor(rt)))
//
//	conn, err := grpc.NewClient(target, credentials,
//		grpc.WithChainUnaryInterceptor(tggrpc.UnaryClientInterceptor(rt)),
//		grpc.WithChainStreamInterceptor(tggrpc.StreamClientInterceptor(rt)))
//
// # Guards
//
// A method's guard is "grpc.server/" or "grpc.client/" and the method, as in
// "grpc.server/shop.Cart/Add": a process that serves a method and calls it
// elsewhere has a guard for each. [Options].Guard names them in another way.
//
// # Deadlines and criticality
//
// The context of a call ends at the permit's deadline, the earliest of the
// caller's and the rules'. gRPC itself sends what is left of it as grpc-timeout
// and ends the server's context then, so that deadlines reach inner calls.
//
// The criticality of a call ([WithCriticality]) travels in the metadata key
// [CriticalityKey]: server interceptors take it for their guard and give it to
// the handler's context, from which client interceptors send it on.
//
// # Refusals
//
// A refusal is a gRPC status, on either side: see [Refusal].
package grpc
