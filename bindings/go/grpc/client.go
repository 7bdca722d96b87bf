package grpc

import (
	"context"
	"io"
	"runtime"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/tidegate/tidegate/bindings/go"
)

const clientPrefix = "grpc.client/"

// UnaryClientInterceptor guards the unary calls of a client. A call that the
// guard refuses is not sent, and returns what [Refusal] makes of it. The others
// are judged by [Classify]. Where the guard's rules have retries, calls are made
// again as the package's doc says.
func UnaryClientInterceptor(rt *tidegate.Runtime, options ...Options) grpc.UnaryClientInterceptor {
	s := newSide(rt, clientPrefix, options)
	return func(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		again := s.unaryRetries(method)
		return s.try(ctx, method, again, func(c *call) tidegate.Attempt {
			var trailer metadata.MD
			returned := false
			defer c.unless(&returned)
			err := invoke(send(c.context()), method, request, reply, conn, append(opts[:len(opts):len(opts)], grpc.Trailer(&trailer))...)
			returned = true
			return again.judge(err, c.end(err), trailer)
		})
	}
}

// StreamClientInterceptor guards the streams of a client. A stream holds its
// permit until it ends: until RecvMsg returns an error (io.EOF is a success)
// or, where the server sends one message only, that message; until SendMsg or
// Header returns an error other than io.EOF; or until its context ends. gRPC
// asks for one of these in any case. A stream that was dropped all the same is
// given up, as Ignored, when the collector finds it.
//
// Where the guard's rules have retries, a stream that cannot be opened is opened
// again, of whatever method: it has carried no message yet. An error of the
// open stream comes out as it is.
func StreamClientInterceptor(rt *tidegate.Runtime, options ...Options) grpc.StreamClientInterceptor {
	s := newSide(rt, clientPrefix, options)
	return func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		var opened grpc.ClientStream
		err := s.try(ctx, method, openings, func(c *call) tidegate.Attempt {
			returned := false
			defer c.unless(&returned)
			inner := c.context()
			stream, err := open(send(inner), desc, conn, method, opts...)
			returned = true
			if err != nil {
				return openings.judge(err, c.end(err), nil)
			}
			opened = watch(inner, c, stream, desc.ServerStreams)
			return tidegate.Attempt{}
		})
		return opened, err
	}
}

// clientStream ends its call with the stream. The call itself does not know
// the stream, so that one that was dropped can be collected.
type clientStream struct {
	grpc.ClientStream
	call   *call
	unlink func() bool
	many   bool // the server may send more than one message
}

func watch(ctx context.Context, c *call, stream grpc.ClientStream, many bool) *clientStream {
	unlink := context.AfterFunc(ctx, func() { c.end(ctx.Err()) })
	watched := &clientStream{stream, c, unlink, many}
	runtime.AddCleanup(watched, func(c *call) { c.exit(tidegate.Ignored) }, c)
	return watched
}

func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch {
	case err == io.EOF:
		s.finish(nil)
	case err != nil || !s.many:
		s.finish(err)
	}
	return err
}

// SendMsg ends the call with an error that gRPC made by itself; io.EOF says
// only that RecvMsg has the server's.
func (s *clientStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if err != nil && err != io.EOF {
		s.finish(err)
	}
	return err
}

func (s *clientStream) Header() (metadata.MD, error) {
	header, err := s.ClientStream.Header()
	if err != nil && err != io.EOF {
		s.finish(err)
	}
	return header, err
}

func (s *clientStream) finish(err error) {
	s.unlink()
	s.call.end(err)
}
