package tidegate

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// The headers in which a time limit travels between services, in milliseconds.
// No standard names one: these are Envoy's. [Runtime.RoundTripper] sends the
// first; [Runtime.Middleware] reads the first and, where it is missing, the
// second, in which 0 means no limit.
const (
	HeaderExpectedTimeout = "X-Envoy-Expected-Rq-Timeout-Ms"
	HeaderUpstreamTimeout = "X-Envoy-Upstream-Rq-Timeout-Ms"
)

// TimeLimitOf is the time that a request's sender says it will wait.
func TimeLimitOf(header http.Header) (limit time.Duration, ok bool) {
	if limit, ok = parseMillis(header.Get(HeaderExpectedTimeout)); ok {
		return limit, true
	}
	limit, ok = parseMillis(header.Get(HeaderUpstreamTimeout))
	return limit, ok && limit > 0
}

// SetTimeLimit tells the receiver of a request how long its sender will wait,
// rounded down.
func SetTimeLimit(header http.Header, limit time.Duration) {
	header.Set(HeaderExpectedTimeout, strconv.FormatInt(max(limit, 0).Milliseconds(), 10))
}

// parseMillis takes digits alone; what a Duration cannot hold is the longest.
func parseMillis(text string) (time.Duration, bool) {
	if len(text) == 0 || len(text) > 20 {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	ms, err := strconv.ParseUint(text, 10, 64)
	if err != nil || ms > uint64(NeverRetry/time.Millisecond) {
		return NeverRetry, true
	}
	return time.Duration(ms) * time.Millisecond, true
}

// limited is the context of a request whose sender waits only so long.
func (rt *Runtime) limited(ctx context.Context, header http.Header) (context.Context, context.CancelFunc) {
	limit, ok := TimeLimitOf(header)
	if !ok {
		return ctx, func() {}
	}
	if !rt.clock.virtual {
		return context.WithTimeout(ctx, limit)
	}
	now, _ := rt.clock.now()
	deadline := now + max(nanoseconds(limit), 1)
	if outer := rt.clock.deadlineOf(ctx); outer != 0 && outer < deadline {
		return ctx, func() {}
	}
	return rt.clock.withDeadline(ctx, deadline)
}
