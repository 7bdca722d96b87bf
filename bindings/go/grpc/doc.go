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
// # Retries
//
// Where the rules of a client's guard have retries, its unary calls are made
// again as they say, each attempt an entry of its own, paid from the guard's
// budget and never begun past the deadline:
//
//   - what the guard itself refused and knows when to let in;
//   - calls of the methods that [Options].Idempotent names, after the outcomes
//     that the rules retry. [Classify] gives one to each code; Unimplemented and
//     DataLoss are not tried again, for another answer will not come;
//   - calls of any method after one of Options.SafeCodes.
//
// What the server says of when to come back is waited for: the trailer
// grpc-retry-pushback-ms (below zero, no number, or several: not at all), or
// else the detail RetryInfo. Of streams only the opening is tried again.
//
// gRPC has retries of its own, for methods with a retryPolicy in the service
// config. They happen within one attempt of ours, unseen by the guard, and the
// two multiply. Have one: leave retryPolicy out of the config, or give
// grpc.WithDisableRetry() to the client, which also covers configs that a name
// service sends. Either leaves gRPC its transparent retries, of calls that no
// server has seen.
//
// Servers try nothing again: that is for who knows whether to wait.
//
// # Refusals
//
// A refusal is a gRPC status, on either side: see [Refusal].
package grpc
