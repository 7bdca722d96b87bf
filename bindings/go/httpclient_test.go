package tidegate_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

// backend is a real server and a client that goes to it through the guard "g".
func backend(t *testing.T, rt *tidegate.Runtime, handler http.HandlerFunc) (string, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	client := &http.Client{Transport: rt.RoundTripper(server.Client().Transport, "g")}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
	})
	return server.URL, client
}

func write(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func TestRoundTripperHoldsThePermitUntilTheBodyIsRead(t *testing.T) {
	rt := open(t)
	g := guarded(t, rt, oneAtATime)
	url, client := backend(t, rt, write("hello"))
	response, err := client.Get(url)
	must(t, err)
	_, err = client.Get(url)
	mustRefuse(t, err, tidegate.ErrRefusedConcurrency)
	body, err := io.ReadAll(response.Body)
	must(t, err)
	if s := stats(t, g); string(body) != "hello" || s.InFlight != 0 || s.Calls[tidegate.Success] != 1 {
		t.Fatalf("%q, %+v", body, s)
	}
	must(t, response.Body.Close())
	if s := stats(t, g); s.MisusedExits != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestRoundTripperExitsWhenTheBodyIsClosedUnread(t *testing.T) {
	rt := open(t)
	g := guard(t, rt, "g")
	url, client := backend(t, rt, write("hello"))
	response, err := client.Get(url)
	must(t, err)
	must(t, response.Body.Close())
	if s := stats(t, g); s.InFlight != 0 || s.Calls[tidegate.Success] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestRoundTripperExitsWhenAForgottenBodyIsCollected(t *testing.T) {
	rt := open(t)
	g := guard(t, rt, "g")
	forget := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("never read"))}, nil
	})
	_, err := rt.RoundTripper(forget, "g").RoundTrip(httptest.NewRequest("GET", "/", nil))
	must(t, err)
	for range 1000 {
		if runtime.GC(); stats(t, g).InFlight == 0 {
			return
		}
	}
	t.Fatal("still in flight")
}

func TestRoundTripperExitsWhenTheContextEnds(t *testing.T) {
	rt := open(t)
	g := guard(t, rt, "g")
	stuck := make(chan struct{})
	url, client := backend(t, rt, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		<-stuck
	})
	defer close(stuck)
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	must(t, err)
	response, err := client.Do(request)
	must(t, err)
	leave()
	_, err = io.ReadAll(response.Body)
	mustBe(t, err, context.Canceled)
	if s := stats(t, g); s.InFlight != 0 || s.Calls[tidegate.Cancelled] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestRoundTripperClassifiesStatusAndErrors(t *testing.T) {
	broken := errors.New("connection broken")
	for name, row := range map[string]struct {
		status int
		err    error
		want   tidegate.Outcome
	}{
		"ok": {200, nil, tidegate.Success}, "not found": {404, nil, tidegate.Success},
		"internal": {500, nil, tidegate.Failure}, "unavailable": {503, nil, tidegate.Overloaded},
		"too many": {429, nil, tidegate.Overloaded}, "gateway timeout": {504, nil, tidegate.TimedOut},
		"broken": {0, broken, tidegate.Failure}, "deadline": {0, context.DeadlineExceeded, tidegate.TimedOut},
	} {
		rt := open(t)
		answer := roundTrip(func(*http.Request) (*http.Response, error) {
			if row.err != nil {
				return nil, row.err
			}
			return &http.Response{StatusCode: row.status, Body: http.NoBody}, nil
		})
		_, err := rt.RoundTripper(answer, "g").RoundTrip(httptest.NewRequest("GET", "/", nil))
		mustBe(t, err, row.err)
		if s := stats(t, guard(t, rt, "g")); s.Calls[row.want] != 1 || s.InFlight != 0 {
			t.Errorf("%s: %+v", name, s.Calls)
		}
	}
}

func TestRoundTripperTakesABrokenBodyForAFailure(t *testing.T) {
	rt := open(t)
	url, client := backend(t, rt, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "short")
	})
	response, err := client.Get(url)
	must(t, err)
	_, err = io.ReadAll(response.Body)
	mustBe(t, err, io.ErrUnexpectedEOF)
	must(t, response.Body.Close())
	if s := stats(t, guard(t, rt, "g")); s.Calls[tidegate.Failure] != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestRoundTripperClosesTheBodyOfARefusedRequest(t *testing.T) {
	rt := open(t)
	held, err := guarded(t, rt, oneAtATime).Enter(t.Context())
	must(t, err)
	body := &closeWatcher{Reader: strings.NewReader("request")}
	request := httptest.NewRequest("POST", "/", body)
	_, err = rt.RoundTripper(nil, "g").RoundTrip(request)
	mustRefuse(t, err, tidegate.ErrRefusedConcurrency)
	if !body.closed {
		t.Fatal("left open")
	}
	must(t, held.Exit(tidegate.Success))
}

func TestRoundTripperCountsAPanicAsFailure(t *testing.T) {
	rt := open(t)
	func() {
		defer func() { _ = recover() }()
		boom := roundTrip(func(*http.Request) (*http.Response, error) { panic("boom") })
		_, _ = rt.RoundTripper(boom, "g").RoundTrip(httptest.NewRequest("GET", "/", nil))
		t.Error("the panic did not come through")
	}()
	if s := stats(t, guard(t, rt, "g")); s.Calls[tidegate.Failure] != 1 || s.InFlight != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestRoundTripperLeavesASwitchedProtocolAlone(t *testing.T) {
	rt := open(t)
	guarded(t, rt, `{"timeout": "1h"}`)
	url, client := backend(t, rt, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		_, _ = io.WriteString(conn, line)
	})
	response, err := client.Get(url)
	must(t, err)
	defer response.Body.Close()
	if s := stats(t, guard(t, rt, "g")); s.InFlight != 0 || s.Calls[tidegate.Success] != 1 {
		t.Fatalf("%+v", s)
	}
	_, err = io.WriteString(response.Body.(io.Writer), "still here\n")
	must(t, err)
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	must(t, err)
	if line != "still here\n" {
		t.Fatal(line)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type closeWatcher struct {
	io.Reader
	closed bool
}

func (c *closeWatcher) Close() error {
	c.closed = true
	return nil
}
