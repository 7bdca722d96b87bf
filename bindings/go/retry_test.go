//go:build cgo && linux && !tidegate_passthrough

package tidegate_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/clocktest"
)

const retryTwice = `{"retry": {"max_attempts": 3, "backoff": {"growth": "constant", "base": "10ms", "jitter": "none"}}}`

// atOnce tries again without a wait, so that no clock need move.
const atOnce = `{"retry": {"max_attempts": 3, "backoff": {"growth": "constant", "base": "0s", "jitter": "none"}}}`

func TestRetryTriesAgainUntilItSucceeds(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, retryTwice)
	start := rt.Clock().Now()
	clocktest.MoveOn(t, rt, 10*time.Millisecond)
	attempts := 0
	must(t, g.Retry(t.Context(), func(context.Context) error {
		if attempts++; attempts < 3 {
			return errBackend
		}
		return nil
	}))
	if s := stats(t, g); attempts != 3 || s.Retries != 2 || s.Calls[tidegate.Failure] != 2 || s.InFlight != 0 {
		t.Fatalf("%d attempts, %+v", attempts, s)
	}
	if waited := rt.Clock().Now() - start; waited != 20*time.Millisecond {
		t.Fatalf("waited %v", waited)
	}
}

func TestRetryGivesTheLastError(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, atOnce)
	attempts := 0
	failing := func(context.Context) error { attempts++; return errBackend }
	mustBe(t, g.Retry(t.Context(), failing), errBackend)
	if attempts != 3 {
		t.Fatalf("%d attempts", attempts)
	}
	mustBe(t, g.Retry(t.Context(), failing, tidegate.WithOnce()), errBackend)
	if attempts != 4 {
		t.Fatalf("%d attempts, of a call that must not be made twice", attempts)
	}
}

func TestRetryHeedsADeadlineAndARetryAfter(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, retryTwice)
	attempts := 0
	later := func(context.Context) error {
		attempts++
		return tidegate.WithRetryAfter(tidegate.WithOutcome(errBackend, tidegate.Overloaded), time.Minute)
	}
	mustBe(t, g.Retry(t.Context(), later, tidegate.WithTimeLimit(time.Minute)), errBackend)
	if attempts != 1 {
		t.Fatalf("%d attempts, though the wait reaches the deadline", attempts)
	}
	start := rt.Clock().Now()
	clocktest.MoveOn(t, rt, time.Minute)
	mustBe(t, g.Retry(t.Context(), later), errBackend)
	if waited := rt.Clock().Now() - start; attempts != 4 || waited != 2*time.Minute {
		t.Fatalf("%d attempts, waited %v", attempts, waited)
	}
}

func TestATimeLimitHoldsForAllAttemptsTogether(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, atOnce)
	attempts := 0
	slow := func(ctx context.Context) error {
		attempts++
		must(t, rt.Clock().Advance(40*time.Second))
		if attempts == 2 && ctx.Err() == nil {
			t.Error("80 s of one minute have passed, and the attempt goes on")
		}
		return errBackend
	}
	mustBe(t, g.Retry(t.Context(), slow, tidegate.WithTimeLimit(time.Minute)), errBackend)
	if attempts != 2 {
		t.Fatalf("%d attempts", attempts)
	}
}

func TestRetryEndsWithItsCaller(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, retryTwice)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		_ = rt.Clock().BlockUntilWaiting(t.Context(), 1)
		leave()
	}()
	mustBe(t, g.Retry(ctx, fail), errBackend)
	if s := stats(t, g); s.Retries != 0 || s.RetryBudget != 10 {
		t.Fatalf("an abandoned retry was paid for: %+v", s)
	}
}

func TestFaultsNeedLeave(t *testing.T) {
	const rules = `{"faults": [{"abort": "timeout"}]}`
	must(t, guarded(t, openVirtual(t), rules).Do(t.Context(), succeed))
	err := guarded(t, openVirtual(t, tidegate.WithFaults()), rules).Do(t.Context(), succeed)
	if refused := mustRefuse(t, err, tidegate.ErrRefusedFault); refused.Reason != uint32(tidegate.TimedOut) {
		t.Fatalf("reason %d", refused.Reason)
	}
}

func TestHedgeTakesTheFirstSuccess(t *testing.T) {
	rt := openVirtual(t)
	g := guarded(t, rt, `{"hedge": {"delay": "10ms"}}`)
	clocktest.MoveOn(t, rt, 10*time.Millisecond)
	var attempts atomic.Int32
	cancelled := make(chan struct{})
	value, err := tidegate.Hedge(t.Context(), g, func(ctx context.Context) (int32, error) {
		n := attempts.Add(1)
		if n == 1 {
			<-ctx.Done()
			close(cancelled)
			return 0, ctx.Err()
		}
		return n, nil
	})
	must(t, err)
	<-cancelled
	if s := stats(t, g); value != 2 || s.Hedges != 1 {
		t.Fatalf("got %d, %+v", value, s)
	}
}

func TestHedgeGivesTheFailureOfTheLastAttempt(t *testing.T) {
	g := guarded(t, openVirtual(t), `{"hedge": {"delay": "0s", "max": 2}}`)
	var attempts atomic.Int32
	mustBe(t, g.Hedge(t.Context(), func(context.Context) error {
		for attempts.Add(1); attempts.Load() < 3; {
			time.Sleep(0)
		}
		return errBackend
	}), errBackend)
	if attempts.Load() != 3 || stats(t, g).Hedges != 2 {
		t.Fatalf("%d attempts", attempts.Load())
	}
	mustBe(t, guarded(t, openVirtual(t), `{}`).Hedge(t.Context(), fail), errBackend)
}

func TestHedgeHandsAPanicOn(t *testing.T) {
	g := guarded(t, openVirtual(t), `{"hedge": {"delay": "1s"}}`)
	defer func() {
		if recover() != "oh" || stats(t, g).InFlight != 0 {
			t.Fatal("the panic was lost, or its permit")
		}
	}()
	_ = g.Hedge(t.Context(), func(context.Context) error { panic("oh") })
}

// server counts requests, and answers the first ones with a status.
func server(t *testing.T, failures int32, status int, seen *atomic.Int32, header func(http.Header)) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if header != nil {
			header(r.Header)
		}
		if seen.Add(1) <= failures {
			w.WriteHeader(status)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestClientRetriesWhatMayBeMadeTwice(t *testing.T) {
	cases := []struct {
		method, key string
		want        int32
	}{{"GET", "", 3}, {"PUT", "", 3}, {"POST", "", 1}, {"POST", "k", 3}}
	for _, c := range cases {
		rt := open(t)
		guarded(t, rt, atOnce)
		var seen atomic.Int32
		s := server(t, 2, http.StatusServiceUnavailable, &seen, nil)
		request, err := http.NewRequestWithContext(t.Context(), c.method, s.URL, strings.NewReader("body"))
		must(t, err)
		if c.key != "" {
			request.Header.Set("Idempotency-Key", c.key)
		}
		response, err := (&http.Client{Transport: rt.RoundTripper(nil, "g")}).Do(request)
		must(t, err)
		body, _ := io.ReadAll(response.Body)
		must(t, response.Body.Close())
		if seen.Load() != c.want || c.want == 3 && string(body) != "body" {
			t.Errorf("%s %q: %d requests, %d %q", c.method, c.key, seen.Load(), response.StatusCode, body)
		}
	}
}

func TestClientTellsAndServerHeedsTheTimeLeft(t *testing.T) {
	rt := open(t)
	guarded(t, rt, `{"timeout": "30s"}`)
	var told time.Duration
	var seen atomic.Int32
	s := server(t, 0, 0, &seen, func(h http.Header) { told, _ = tidegate.TimeLimitOf(h) })
	response, err := (&http.Client{Transport: rt.RoundTripper(nil, "g")}).Get(s.URL)
	must(t, err)
	must(t, response.Body.Close())
	if told > 30*time.Second || told < 20*time.Second {
		t.Fatalf("told %v", told)
	}
	virtual := openVirtual(t)
	heeding := virtual.Middleware("g")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		must(t, virtual.Clock().Advance(2*time.Second))
		<-r.Context().Done()
		mustBe(t, r.Context().Err(), context.DeadlineExceeded)
	}))
	request := httptest.NewRequest("GET", "/", nil)
	tidegate.SetTimeLimit(request.Header, 2*time.Second)
	heeding.ServeHTTP(httptest.NewRecorder(), request)
}

func TestTimeLimitOf(t *testing.T) {
	cases := []struct {
		name, value string
		want        time.Duration
		ok          bool
	}{
		{tidegate.HeaderExpectedTimeout, "1500", 1500 * time.Millisecond, true},
		{tidegate.HeaderExpectedTimeout, "0", 0, true},
		{tidegate.HeaderUpstreamTimeout, "0", 0, false},
		{tidegate.HeaderUpstreamTimeout, "20", 20 * time.Millisecond, true},
		{tidegate.HeaderExpectedTimeout, "99999999999999999999", tidegate.NeverRetry, true},
		{tidegate.HeaderExpectedTimeout, "-1", 0, false},
		{tidegate.HeaderExpectedTimeout, "1s", 0, false},
	}
	for _, c := range cases {
		header := http.Header{}
		header.Set(c.name, c.value)
		if got, ok := tidegate.TimeLimitOf(header); got != c.want && c.ok || ok != c.ok {
			t.Errorf("%s: %s is %v, %v", c.name, c.value, got, ok)
		}
	}
}

func TestAttemptsOfAWrapperAreDecidedOnLikeAnyOther(t *testing.T) {
	cases := []struct {
		what    string
		attempt tidegate.Attempt
		opts    []tidegate.CallOption
		want    int
	}{
		{"failure", tidegate.Attempt{Err: errBackend, Outcome: tidegate.Failure}, nil, 3},
		{"success", tidegate.Attempt{}, nil, 1},
		{"final", tidegate.Attempt{Err: errBackend, Outcome: tidegate.Failure, Final: true}, nil, 1},
		{"never", tidegate.Attempt{Err: errBackend, Outcome: tidegate.Failure, RetryAfter: tidegate.NeverRetry}, nil, 1},
		{"ignored", tidegate.Attempt{Err: errBackend, Outcome: tidegate.Ignored}, nil, 1},
		{"once", tidegate.Attempt{Err: errBackend, Outcome: tidegate.Failure}, []tidegate.CallOption{tidegate.WithOnce()}, 1},
		{"refused", tidegate.Attempt{Err: errBackend, Refused: true, RetryAfter: 1}, []tidegate.CallOption{tidegate.WithOnce()}, 3},
		{"refused for who knows how long", tidegate.Attempt{Err: errBackend, Refused: true}, nil, 1},
	}
	for _, c := range cases {
		rt := openVirtual(t)
		clocktest.MoveOn(t, rt, time.Millisecond)
		attempts := 0
		err := guarded(t, rt, atOnce).RetryAttempts(t.Context(), func([]tidegate.CallOption) tidegate.Attempt { attempts++; return c.attempt }, c.opts...)
		if attempts != c.want || err != c.attempt.Err {
			t.Errorf("%s: %d attempts, %v", c.what, attempts, err)
		}
	}
}

func TestAttemptsWaitAsTheCalleeSaid(t *testing.T) {
	for _, attempt := range []tidegate.Attempt{
		{Err: errBackend, Outcome: tidegate.Failure, RetryAfter: time.Minute},
		{Err: tidegate.WithRetryAfter(errBackend, time.Minute), Outcome: tidegate.Failure},
	} {
		rt := openVirtual(t)
		g := guarded(t, rt, retryTwice)
		start := rt.Clock().Now()
		clocktest.MoveOn(t, rt, time.Minute)
		mustBe(t, g.RetryAttempts(t.Context(), func([]tidegate.CallOption) tidegate.Attempt { return attempt }), errBackend)
		if waited := rt.Clock().Now() - start; waited != 2*time.Minute {
			t.Errorf("waited %v", waited)
		}
	}
}
