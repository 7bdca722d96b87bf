//go:build cgo && linux && !tidegate_passthrough

package grpc_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/tidegate/tidegate/bindings/go"
	tggrpc "github.com/tidegate/tidegate/bindings/go/grpc"
)

// A server lets two calls of a method in and refuses the third; a client is
// guarded too, and sends its criticality along.
func Example() {
	gate, err := tidegate.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close()
	if err := gate.ApplyRules([]byte(`{"version": 1, "guards": {
		"grpc.server/grpc.health.v1.Health/Check": {"rate": [{"limit": 1, "per": "1h", "burst": 2}]},
		"grpc.client/grpc.health.v1.Health/Check": {"timeout": "10s", "concurrency": {"max": 10}}}}`)); err != nil {
		log.Fatal(err)
	}

	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(tggrpc.UnaryServerInterceptor(gate)),
		grpc.ChainStreamInterceptor(tggrpc.StreamServerInterceptor(gate)))
	healthpb.RegisterHealthServer(server, health.NewServer())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(listener)
	defer server.Stop()

	conn, err := grpc.NewClient(listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(tggrpc.UnaryClientInterceptor(gate)),
		grpc.WithChainStreamInterceptor(tggrpc.StreamClientInterceptor(gate)))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	ctx := tggrpc.WithCriticality(context.Background(), tidegate.Critical)
	for range 3 {
		_, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		fmt.Println(status.Code(err), errors.Is(err, tidegate.ErrRefused)) // refused there, not here
	}
	// Output:
	// OK false
	// OK false
	// ResourceExhausted false
}
