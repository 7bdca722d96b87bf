package tidegate

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Middleware guards a handler. A request that the guard refuses is answered by
// [WriteRefusal] and does not reach the handler; the others run with a context
// that ends at the permit's deadline. The permit is exited when the handler
// returns, with the outcome that [ClassifyHTTP] sees in the response's status;
// a handler that panics counts as [Failure], and the panic goes on.
//
// A sender that says how long it will wait ([HeaderExpectedTimeout]) is
// believed: the request's context ends by then.
//
// Nothing is tried again here, whatever the guard's rules say: that is for the
// request's sender.
//
// guard is the guard's name; [HTTPOptions] may choose one by request instead.
func (rt *Runtime) Middleware(guard string, options ...HTTPOptions) func(http.Handler) http.Handler {
	h := newHTTPGuard(rt, guard, options)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serve(next, w, r) })
	}
}

func (h *httpGuard) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !h.options.NoDeadline {
		ctx, cancel := h.rt.limited(r.Context(), r.Header)
		defer cancel()
		if ctx != r.Context() {
			r = r.WithContext(ctx)
		}
	}
	var p Permit
	if err := h.enter(r, &p, commonLimit{}); err != nil {
		h.options.Refuse(w, r, err)
		return
	}
	outcome := Failure
	defer func() { _ = p.Exit(outcome) }()
	caller := r.Context()
	ctx, cancel := p.Context(caller)
	defer cancel()
	if ctx != caller {
		r = r.WithContext(ctx)
	}
	seen := &statusWriter{ResponseWriter: w}
	next.ServeHTTP(seen.as(w), r)
	outcome = h.options.Classify(caller, seen.final(), nil)
}

// statusWriter remembers the status that a handler answers with.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// as gives the writer the abilities of the one that it wraps: handlers ask for
// http.Flusher and http.Hijacker by type. http.ResponseController finds any
// others through Unwrap.
func (s *statusWriter) as(w http.ResponseWriter) http.ResponseWriter {
	flusher, flushes := w.(http.Flusher)
	hijacker, hijacks := w.(http.Hijacker)
	switch {
	case flushes && hijacks:
		return struct {
			*statusWriter
			statusFlusher
			statusHijacker
		}{s, statusFlusher{s, flusher}, statusHijacker{s, hijacker}}
	case flushes:
		return struct {
			*statusWriter
			statusFlusher
		}{s, statusFlusher{s, flusher}}
	case hijacks:
		return struct {
			*statusWriter
			statusHijacker
		}{s, statusHijacker{s, hijacker}}
	}
	return s
}

// final is the status that net/http makes of it: 200 for a handler that wrote
// nothing.
func (s *statusWriter) final() int {
	if s.status == 0 {
		return http.StatusOK
	}
	return s.status
}

// see keeps the first final status; 1xx come before it, save 101.
func (s *statusWriter) see(status int) {
	if s.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		s.status = status
	}
}

func (s *statusWriter) WriteHeader(status int) {
	s.see(status)
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Write(b []byte) (int, error) {
	s.see(http.StatusOK)
	return s.ResponseWriter.Write(b)
}

// ReadFrom keeps io.Copy's short way (sendfile) open.
func (s *statusWriter) ReadFrom(from io.Reader) (int64, error) {
	s.see(http.StatusOK)
	return io.Copy(s.ResponseWriter, from)
}

// Unwrap is for http.ResponseController.
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

type statusFlusher struct {
	seen *statusWriter
	to   http.Flusher
}

func (f statusFlusher) Flush() {
	f.seen.see(http.StatusOK)
	f.to.Flush()
}

type statusHijacker struct {
	seen *statusWriter
	to   http.Hijacker
}

func (h statusHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.seen.see(http.StatusSwitchingProtocols)
	return h.to.Hijack()
}
