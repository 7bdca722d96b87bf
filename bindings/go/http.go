package tidegate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// HTTPClassifier judges how an HTTP call ended. status is 0 when there was no
// answer; err is then why: the transport's error, or nil for a handler that
// wrote nothing. ctx is the request's own context.
type HTTPClassifier func(ctx context.Context, status int, err error) Outcome

// ClassifyHTTP is the classifier of [Runtime.Middleware] and
// [Runtime.RoundTripper], unless [HTTPOptions] replace it. The first line that
// fits counts:
//
//   - the transport gave an error: as [Classify] says;
//   - ctx was cancelled, as happens when a server's client has gone: Cancelled;
//   - 503 Service Unavailable and 429 Too Many Requests: Overloaded;
//   - 504 Gateway Timeout: TimedOut;
//   - any other 5xx: Failure;
//   - all else, client errors such as 404 included: Success.
func ClassifyHTTP(ctx context.Context, status int, err error) Outcome {
	switch {
	case err != nil:
		return Classify(ctx, err)
	case errors.Is(ctx.Err(), context.Canceled):
		return Cancelled
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return Overloaded
	case status == http.StatusGatewayTimeout:
		return TimedOut
	case status >= 500:
		return Failure
	}
	return Success
}

// HTTPOptions change what [Runtime.Middleware] and [Runtime.RoundTripper] do.
// The zero value is right for most.
type HTTPOptions struct {
	// Guard names the guard for a request, in place of the fixed name. Names
	// should be few: a route's pattern, not a path.
	Guard func(*http.Request) string
	// Call gives the guard what it should know of a request: its key, cost,
	// criticality or attributes.
	Call func(*http.Request) []CallOption
	// Classify replaces ClassifyHTTP.
	Classify HTTPClassifier
	// NoDeadline stops the middleware from heeding, and the client from sending,
	// HeaderExpectedTimeout.
	NoDeadline bool
	// Refuse answers a request that the middleware refused, in place of
	// WriteRefusal. err is what Guard.Enter returned.
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
}

// httpGuard is what server and client side have in common.
type httpGuard struct {
	rt      *Runtime
	fixed   string
	options HTTPOptions
}

func newHTTPGuard(rt *Runtime, name string, options []HTTPOptions) httpGuard {
	h := httpGuard{rt: rt, fixed: name}
	if len(options) > 0 {
		h.options = options[0]
	}
	if h.options.Classify == nil {
		h.options.Classify = ClassifyHTTP
	}
	if h.options.Refuse == nil {
		h.options.Refuse = func(w http.ResponseWriter, _ *http.Request, err error) { WriteRefusal(w, err) }
	}
	return h
}

// enter asks the request's guard. A guard that cannot be had is a fault of
// the library and lets pass like any other.
func (h *httpGuard) enter(r *http.Request, p *Permit, limit commonLimit) error {
	name, opts := h.named(r)
	return h.rt.enter(r.Context(), name, p, limit.of(opts))
}

// guardOf is the request's guard, and what is said of the request.
func (h *httpGuard) guardOf(r *http.Request) (*Guard, []CallOption, error) {
	name, opts := h.named(r)
	g, err := h.rt.Guard(name)
	return g, opts, err
}

func (h *httpGuard) named(r *http.Request) (name string, opts []CallOption) {
	if h.options.Call != nil {
		opts = h.options.Call(r)
	}
	if h.options.Guard != nil {
		return h.options.Guard(r), opts
	}
	return h.fixed, opts
}

// WriteRefusal answers a request that was not let in: 429 Too Many Requests
// for a refusal by rate, 503 Service Unavailable for any other, with a
// Retry-After in whole seconds, rounded up, where the time is known.
func WriteRefusal(w http.ResponseWriter, err error) {
	var refused *RefusedError
	if !errors.As(err, &refused) {
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		return
	}
	if seconds, ok := retryAfterSeconds(refused.RetryAfter); ok {
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	status := http.StatusServiceUnavailable
	if refused.Stage == StageRate {
		status = http.StatusTooManyRequests
	}
	http.Error(w, fmt.Sprintf("refused by %s", refused.Stage), status)
}

func retryAfterSeconds(d time.Duration) (seconds int64, ok bool) {
	if d <= 0 || d == NeverRetry {
		return 0, false
	}
	return int64(math.Ceil(d.Seconds())), true
}
