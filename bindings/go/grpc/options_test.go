package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tidegate/tidegate/bindings/go"
	tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
)

func TestCriticalityTravelsFromServerToServer(t *testing.T) {
	rt := open(t, "")
	var seen []tidegate.Criticality
	back := connect(t, &service{unary: func(ctx context.Context) error {
		seen = append(seen, tggrpc.CriticalityOf(ctx))
		return nil
	}}, guardedServer(rt), guardedClient(rt)...)
	front := connect(t, &service{unary: func(ctx context.Context) error { return call(ctx, back) }}, guardedServer(rt), guardedClient(rt)...)
	wanted := []tidegate.Criticality{tidegate.Critical, tidegate.DefaultCriticality, tidegate.Sheddable}
	for _, c := range wanted {
		must(t, call(tggrpc.WithCriticality(t.Context(), c), front))
	}
	must(t, call(t.Context(), front))
	if got, want := fmt.Sprint(seen), fmt.Sprint(append(wanted, tidegate.DefaultCriticality)); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestMetadataOfTheCallerWins(t *testing.T) {
	rt := open(t, "")
	client := connect(t, &service{unary: func(ctx context.Context) error {
		if c := tggrpc.CriticalityOf(ctx); c != tidegate.Sheddable {
			t.Error(c)
		}
		return nil
	}}, guardedServer(rt), guardedClient(rt)...)
	ctx := metadata.AppendToOutgoingContext(t.Context(), tggrpc.CriticalityKey, "sheddable")
	must(t, call(tggrpc.WithCriticality(ctx, tidegate.Critical), client))
}

func TestCriticalityThatIsUnknownDoubledOrDistrustedIsTheDefault(t *testing.T) {
	rt := open(t, "")
	handler := &service{unary: func(ctx context.Context) error {
		if c := tggrpc.CriticalityOf(ctx); c != tidegate.DefaultCriticality {
			t.Error(c)
		}
		return nil
	}}
	trusting := connect(t, handler, guardedServer(rt))
	must(t, call(metadata.AppendToOutgoingContext(t.Context(), tggrpc.CriticalityKey, "urgent"), trusting))
	must(t, call(metadata.AppendToOutgoingContext(t.Context(), tggrpc.CriticalityKey, "critical", tggrpc.CriticalityKey, "critical"), trusting))
	distrusting := connect(t, handler, guardedServer(rt, tggrpc.Options{DistrustCriticality: true}))
	must(t, call(metadata.AppendToOutgoingContext(t.Context(), tggrpc.CriticalityKey, "critical"), distrusting))
}

func TestGuardAndClassificationAreReplaceable(t *testing.T) {
	rt := open(t, "")
	options := tggrpc.Options{
		Guard:    func(method string) string { return strings.Split(method, "/")[1] },
		Classify: func(context.Context, error) tidegate.Outcome { return tidegate.Ignored },
	}
	must(t, call(t.Context(), connect(t, &service{unary: fine}, guardedServer(rt, options))))
	mustEnd(t, rt, "grpc.testing.TestService", tidegate.Ignored, 1)
}

func TestMethodWithoutAGuardIsLeftAlone(t *testing.T) {
	rt := open(t, "")
	none := tggrpc.Options{Guard: func(string) string { return "" }}
	must(t, call(t.Context(), connect(t, &service{unary: fine}, guardedServer(rt, none), guardedClient(rt, none)...)))
	if s := stats(t, rt, serverUnary); total(s.Calls) != 0 || len(rt.Faults()) != 0 {
		t.Fatal(s, rt.Faults())
	}
}

func TestGuardsOfMethodsAreBounded(t *testing.T) {
	rt := open(t, "")
	intercept := tggrpc.UnaryServerInterceptor(rt)
	handler := func(context.Context, any) (any, error) { return nil, nil }
	const beyond = 7
	for i := range 1000 + beyond {
		_, err := intercept(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: fmt.Sprintf("/s/%d", i)}, handler)
		must(t, err)
	}
	_, err := intercept(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/" + strings.Repeat("x", 200)}, handler)
	must(t, err)
	mustEnd(t, rt, "grpc.server/s/999", tidegate.Success, 1)
	mustEnd(t, rt, "grpc.server/other", tidegate.Success, beyond+1)
	if len(rt.Faults()) != 0 {
		t.Fatal(rt.Faults())
	}
}

func TestErrorsOfTheLibraryPassUnlessItFailsClosed(t *testing.T) {
	rt := open(t, "", tidegate.WithFailClosed())
	bad := tggrpc.Options{Guard: func(string) string { return "\x00" }}
	err := call(t.Context(), connect(t, &service{unary: fine}, nil, guardedClient(rt, bad)...))
	mustCode(t, err, codes.Unavailable)
	if !errors.Is(err, tidegate.ErrInvalid) {
		t.Fatal(err)
	}
}

func TestRefusalLeavesOtherErrorsAsTheyAre(t *testing.T) {
	told := status.Error(codes.NotFound, "none")
	if tggrpc.Refusal(told) != told || tggrpc.Refusal(nil) != nil {
		t.Fatal("was changed")
	}
	if err := tggrpc.Refusal(context.Canceled); status.Code(err) != codes.Canceled || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
