package grpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/tidegate/tidegate/bindings/go"
)

const serverPrefix = "grpc.server/"

// UnaryServerInterceptor guards the unary methods of a server. A call that the
// guard refuses does not reach the handler, and gets what [Refusal] makes of
// it, with the trailer grpc-retry-pushback-ms where the time is known. The
// permit is exited when the handler returns, with the outcome that [Classify]
// sees; a handler that panics counts as Failure, and the panic goes on. A
// refusal that a handler returns, of a guard that it asked itself, is sent in
// the same form. Nothing is tried again, whatever the guard's rules say.
func UnaryServerInterceptor(rt *tidegate.Runtime, options ...Options) grpc.UnaryServerInterceptor {
	s := newSide(rt, serverPrefix, options)
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx = s.receive(ctx)
		var c call
		if err := s.enter(ctx, info.FullMethod, &c); err != nil {
			return nil, answer(ctx, err)
		}
		returned := false
		defer c.unless(&returned)
		response, err := handler(c.context(), request)
		returned = true
		err = answer(ctx, err)
		c.end(err)
		return response, err
	}
}

// StreamServerInterceptor is [UnaryServerInterceptor] for streams. A stream
// holds its permit until the handler returns: it counts as one call in flight,
// and a timeout in the rules is for the whole of it.
func StreamServerInterceptor(rt *tidegate.Runtime, options ...Options) grpc.StreamServerInterceptor {
	s := newSide(rt, serverPrefix, options)
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx := s.receive(stream.Context())
		var c call
		if err := s.enter(ctx, info.FullMethod, &c); err != nil {
			return answer(ctx, err)
		}
		returned := false
		defer c.unless(&returned)
		err := handler(server, &serverStream{stream, c.context()})
		returned = true
		err = answer(ctx, err)
		c.end(err)
		return err
	}
}

// serverStream is a stream with the permit's context.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *serverStream) Context() context.Context { return s.ctx }
