package tidegate_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

// serve runs a handler behind the guard "g" on a real server.
func serve(t *testing.T, rt *tidegate.Runtime, handler http.HandlerFunc, options ...tidegate.HTTPOptions) string {
	t.Helper()
	server := httptest.NewServer(rt.Middleware("g", options...)(handler))
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	response, err := http.Get(url)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response, string(body)
}

func respond(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func TestMiddlewareAnswersARefusalByRateWith429(t *testing.T) {
	rt := openVirtual(t)
	guarded(t, rt, `{"rate": [{"limit": 1, "per": "90s", "burst": 1}]}`)
	url := serve(t, rt, respond(http.StatusNoContent))
	if response, _ := get(t, url); response.StatusCode != http.StatusNoContent {
		t.Fatal(response.Status)
	}
	must(t, rt.Clock().Advance(500*time.Millisecond))
	response, body := get(t, url)
	if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") != "90" {
		t.Fatal(response.Status, response.Header)
	}
	if !strings.Contains(body, "refused by rate") {
		t.Fatal(body)
	}
}

func TestMiddlewareAnswersOtherRefusalsWith503(t *testing.T) {
	rt := open(t)
	held, err := guarded(t, rt, oneAtATime).Enter(t.Context())
	must(t, err)
	response, _ := get(t, serve(t, rt, respond(http.StatusOK)))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "" {
		t.Fatal(response.Status, response.Header)
	}
	must(t, held.Exit(tidegate.Success))
}

func TestMiddlewareClassifiesByStatus(t *testing.T) {
	for status, want := range map[int]tidegate.Outcome{
		200: tidegate.Success, 302: tidegate.Success, 404: tidegate.Success, 500: tidegate.Failure,
		502: tidegate.Failure, 503: tidegate.Overloaded, 504: tidegate.TimedOut, 429: tidegate.Overloaded,
	} {
		rt := open(t)
		rt.Middleware("g")(respond(status)).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if s := stats(t, guard(t, rt, "g")); s.Calls[want] != 1 || s.InFlight != 0 {
			t.Errorf("%d: %+v", status, s.Calls)
		}
	}
}

func TestMiddlewareCountsAPanicAsFailure(t *testing.T) {
	rt := open(t)
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the panic did not come through")
			}
		}()
		abort := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		rt.Middleware("g")(abort).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	if s := stats(t, guard(t, rt, "g")); s.Calls[tidegate.Failure] != 1 || s.InFlight != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestMiddlewareTakesAClientWhoLeftForCancelled(t *testing.T) {
	rt := open(t)
	ctx, leave := context.WithCancel(t.Context())
	handler := rt.Middleware("g")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leave() }))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	if s := stats(t, guard(t, rt, "g")); s.Calls[tidegate.Cancelled] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestMiddlewareKeepsTheWritersAbilities(t *testing.T) {
	rt := open(t)
	url := serve(t, rt, func(w http.ResponseWriter, _ *http.Request) {
		_, flushes := w.(http.Flusher)
		_, hijacks := w.(http.Hijacker)
		if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil || !flushes || !hijacks {
			t.Errorf("%v, flushes %v, hijacks %v", err, flushes, hijacks)
		}
		_, _ = io.Copy(w, strings.NewReader("streamed"))
		w.(http.Flusher).Flush()
	})
	if response, body := get(t, url); response.StatusCode != http.StatusOK || body != "streamed" {
		t.Fatal(response.Status, body)
	}
	plain := struct{ http.ResponseWriter }{httptest.NewRecorder()}
	rt.Middleware("g")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, flushes := w.(http.Flusher); flushes {
			t.Error("flushes what cannot be flushed")
		}
	})).ServeHTTP(plain, httptest.NewRequest("GET", "/", nil))
}

func TestMiddlewareLetsAHandlerHijack(t *testing.T) {
	rt := open(t)
	url := serve(t, rt, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	if response, _ := get(t, url); response.StatusCode != http.StatusNoContent {
		t.Fatal(response.Status)
	}
}

func TestMiddlewareGivesTheHandlerTheDeadline(t *testing.T) {
	rt := open(t)
	guarded(t, rt, `{"timeout": "1h"}`)
	serveOnce := func(w http.ResponseWriter, r *http.Request) {
		if _, limited := r.Context().Deadline(); !limited {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
	if response, _ := get(t, serve(t, rt, serveOnce)); response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
}

func TestMiddlewareOptionsReplaceWhatItDoes(t *testing.T) {
	rt := openVirtual(t)
	options := tidegate.HTTPOptions{
		Guard: func(r *http.Request) string { return "route" + r.URL.Path },
		Call: func(r *http.Request) []tidegate.CallOption {
			return []tidegate.CallOption{tidegate.WithCost(2), tidegate.WithKey(r.Host)}
		},
		Classify: func(context.Context, int, error) tidegate.Outcome { return tidegate.Ignored },
		Refuse: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusTeapot)
		},
	}
	rules := `{"version": 1, "guards": {"route/a": {"rate": [{"limit": 2, "per": "1s", "burst": 2}]}}}`
	must(t, rt.ApplyRules([]byte(rules)))
	url := serve(t, rt, respond(http.StatusOK), options)
	for path, want := range map[string][2]int{"/a": {200, 418}, "/b": {200, 200}} {
		for _, status := range want {
			if response, _ := get(t, url+path); response.StatusCode != status {
				t.Errorf("%s: %s", path, response.Status)
			}
		}
	}
	if s := stats(t, guard(t, rt, "route/b")); s.Calls[tidegate.Ignored] != 2 {
		t.Fatalf("%+v", s)
	}
}

func TestMiddlewareOfAClosedRuntimeLetsPass(t *testing.T) {
	rt := open(t)
	url := serve(t, rt, respond(http.StatusNoContent))
	must(t, rt.Close())
	if response, _ := get(t, url); response.StatusCode != http.StatusNoContent || rt.Faults()[tidegate.ErrClosed] == 0 {
		t.Fatal(response.Status, rt.Faults())
	}
}
