package tidegate

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// beginRetry begins a request that may be sent more than once; nil: it may not.
func (t *roundTripper) beginRetry(r *http.Request) *retrying {
	if r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return nil
	}
	g, opts, err := t.guardOf(r)
	if err != nil {
		return nil
	}
	if !isIdempotent(r) {
		opts = append(opts[:len(opts):len(opts)], WithOnce())
	}
	retry, begun := g.beginRetry(r.Context(), opts)
	if !begun {
		return nil
	}
	return retry
}

// isIdempotent says whether a request may be made twice: by its method (RFC
// 9110, 9.2.2), or since it bears a key by which the server knows it again.
func isIdempotent(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != ""
}

// again says whether the request is to be sent once more, and waits before it.
// The response before is read off and closed, so that its connection serves again.
func (t *roundTripper) again(retry *retrying, r *http.Request, response *http.Response, outcome Outcome, err error) (bool, error) {
	after := retryAfterOf(err)
	if response != nil {
		after = retryAfterIn(response.Header, time.Now())
	}
	if retry == nil || !retry.again(outcome, after) {
		return false, err
	}
	if response != nil {
		_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
		_ = response.Body.Close()
	}
	if waited := t.rt.clock.sleep(r.Context(), retry.wait()); waited != nil {
		retry.abandon()
		return false, errors.Join(waited, err)
	}
	return true, nil
}

// rewound is the request with its body from the beginning.
func rewound(r *http.Request) (*http.Request, error) {
	if r.GetBody == nil {
		return r, nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	again := *r
	again.Body = body
	return &again, nil
}

// retryAfterIn reads Retry-After (RFC 9110, 10.2.3): seconds, or a date.
func retryAfterIn(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}
