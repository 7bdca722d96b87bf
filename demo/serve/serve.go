// Package serve is how both services of the demonstration start and end: they listen on free ports of the loopback,
// print where, and stop when their standard input ends, so that none outlives the one who started it.
package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Site is an address to serve: its name, where to listen and what answers.
type Site struct {
	Name    string
	Listen  string
	Handler http.Handler
}

// Run serves until standard input ends.
func Run(sites ...Site) error {
	failed := make(chan error, len(sites))
	for _, site := range sites {
		server, err := start(site, failed)
		if err != nil {
			return err
		}
		defer stop(server)
	}
	fmt.Println("ready")
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	}
}

func start(site Site, failed chan<- error) (*http.Server, error) {
	listener, err := net.Listen("tcp", site.Listen)
	if err != nil {
		return nil, err
	}
	fmt.Printf("%s http://%s\n", site.Name, listener.Addr())
	server := &http.Server{Handler: site.Handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { failed <- server.Serve(listener) }()
	return server, nil
}

func stop(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}
