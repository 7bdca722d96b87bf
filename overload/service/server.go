package service

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tidegate/tidegate/overload/protect"
)

// Headers of a call and of its answer.
const (
	CriticalityHeader = "Criticality"
	RefusedHeader     = "Refused-By" // says who refused a call: ByProtection or ByQueue
	ByProtection      = "protection"
	ByQueue           = "queue"
)

// Counts are what a server did.
type Counts struct {
	Received, Served, Refused, Full int64
	Inside, MostInside              int64 // calls that the protection let in, now and at most
}

// Server answers calls over HTTP. It works on what was asked also when the asker has gone, as most servers do.
type Server struct {
	URL        string
	pool       *Pool
	protection protect.Protection
	epoch      time.Time
	http       http.Server
	ended      chan error

	received, served, refused, full, inside, most atomic.Int64
}

// Start serves on an address such as 127.0.0.1:0, where 0 is any free port.
func Start(address string, pool *Pool, protection protect.Protection) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the service cannot listen on %s: %w", address, err)
	}
	s := &Server{
		URL: "http://" + listener.Addr().String(), pool: pool, protection: protection,
		epoch: time.Now(), ended: make(chan error, 1),
	}
	s.http.Handler = s
	go func() { s.ended <- s.http.Serve(listener) }()
	return s, nil
}

// Close stops at once; calls that are inside are cut off.
func (s *Server) Close() error {
	err := s.http.Close()
	if ended := <-s.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// Outage makes the workers stand still for so long from now on.
func (s *Server) Outage(length time.Duration) { s.pool.Stall(time.Since(s.epoch) + length) }

// Counts reads the counters.
func (s *Server) Counts() Counts {
	return Counts{
		s.received.Load(), s.served.Load(), s.refused.Load(), s.full.Load(), s.inside.Load(), s.most.Load(),
	}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.received.Add(1)
	call := protect.Call{Criticality: protect.Criticality(r.Header.Get(CriticalityHeader))}
	leave, ok := s.protection.Enter(r.Context(), call)
	if !ok {
		s.refused.Add(1)
		refuse(w, ByProtection)
		return
	}
	s.enter()
	served := s.work()
	s.inside.Add(-1)
	leave(served)
	if !served {
		s.full.Add(1)
		refuse(w, ByQueue)
		return
	}
	s.served.Add(1)
	_, _ = io.WriteString(w, "done\n")
}

func (s *Server) enter() {
	inside := s.inside.Add(1)
	for most := s.most.Load(); inside > most && !s.most.CompareAndSwap(most, inside); most = s.most.Load() {
	}
}

// work has a worker do the call; false: the queue is full.
func (s *Server) work() bool {
	done, ok := s.pool.Take(time.Since(s.epoch))
	if ok {
		time.Sleep(time.Until(s.epoch.Add(done)))
	}
	return ok
}

func refuse(w http.ResponseWriter, by string) {
	w.Header().Set(RefusedHeader, by)
	w.WriteHeader(http.StatusServiceUnavailable)
}
