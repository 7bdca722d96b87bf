package grpc_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tidegate/tidegate/bindings/go"
	tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
)

// This one runs in builds without the library too.
func TestCallsPassWithoutRules(t *testing.T) {
	rt, err := tidegate.Open()
	must(t, err)
	defer rt.Close()
	client := connect(t, &service{duplex: echo, unary: func(ctx context.Context) error {
		if tggrpc.CriticalityOf(ctx) != tidegate.Critical {
			t.Error("criticality got lost")
		}
		return status.Error(codes.NotFound, "none")
	}}, guardedServer(rt), guardedClient(rt)...)
	mustCode(t, call(tggrpc.WithCriticality(t.Context(), tidegate.Critical), client), codes.NotFound)
	stream := converse(t, t.Context(), client)
	must(t, stream.CloseSend())
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatal(err)
	}
}

// So does this one.
func TestNothingIsTriedAgainWithoutTheLibraryOrARule(t *testing.T) {
	rt, err := tidegate.Open()
	must(t, err)
	defer rt.Close()
	var calls atomic.Int32
	client := connect(t, failing(&calls, 2, codes.Unavailable), nil, guardedClient(rt, every)...)
	mustCode(t, call(t.Context(), client), codes.Unavailable)
	if calls.Load() != 1 {
		t.Fatal(calls.Load())
	}
}
