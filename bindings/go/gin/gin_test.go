package gin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tidegate/tidegate/bindings/go"
	tggin "github.com/tidegate/tidegate/bindings/go/gin"
)

const users = "GET /users/:id"

func init() { gin.SetMode(gin.ReleaseMode) }

func open(t *testing.T, rules string, opts ...tidegate.Option) *tidegate.Runtime {
	t.Helper()
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
	rt, err := tidegate.Open(opts...)
	must(t, err)
	t.Cleanup(func() { must(t, rt.Close()) })
	if rules != "" {
		must(t, rt.ApplyRules([]byte(`{"version": 1, "guards": {"`+users+`": `+rules+`}}`)))
	}
	return rt
}

// serve runs a router on a real server; its handlers answer /users/:id.
func serve(t *testing.T, handlers ...gin.HandlerFunc) string {
	t.Helper()
	router := gin.New()
	router.Use(handlers[:len(handlers)-1]...)
	router.GET("/users/:id", handlers[len(handlers)-1])
	server := httptest.NewServer(router)
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

func respond(status int) gin.HandlerFunc {
	return func(c *gin.Context) { c.Status(status) }
}

func stats(t *testing.T, rt *tidegate.Runtime, guard string) tidegate.GuardStats {
	t.Helper()
	g, err := rt.Guard(guard)
	must(t, err)
	s, err := g.Stats()
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustEnd(t *testing.T, rt *tidegate.Runtime, guard string, outcome tidegate.Outcome) {
	t.Helper()
	want := [6]uint64{}
	want[outcome] = 1
	if s := stats(t, rt, guard); s.Calls != want || s.InFlight != 0 || s.MisusedExits != 0 {
		t.Fatalf("%s: want one %s, got %+v", guard, outcome, s)
	}
}

func TestRouteIsTheGuard(t *testing.T) {
	rt := open(t, "")
	url := serve(t, tggin.Middleware(rt), respond(http.StatusOK))
	for _, path := range []string{"/users/1", "/users/2", "/none", "/also/none"} {
		get(t, url+path)
	}
	for _, guard := range []string{users, tggin.Unmatched} {
		if s := stats(t, rt, guard); s.Calls[tidegate.Success] != 2 || s.InFlight != 0 {
			t.Errorf("%s: %+v", guard, s)
		}
	}
}

func TestRefusalByRateIs429AndAborts(t *testing.T) {
	rt := open(t, `{"rate": [{"limit": 1, "per": "90s", "burst": 1}]}`, tidegate.WithVirtualClock(time.Hour))
	runs := 0
	url := serve(t, tggin.Middleware(rt), func(c *gin.Context) { runs++; c.Status(http.StatusNoContent) })
	if response, _ := get(t, url+"/users/1"); response.StatusCode != http.StatusNoContent {
		t.Fatal(response.Status)
	}
	response, body := get(t, url+"/users/2")
	if response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") != "90" || !strings.Contains(body, "refused by rate") {
		t.Fatal(response.Status, response.Header, body)
	}
	if runs != 1 {
		t.Fatal(runs)
	}
}

func TestOtherRefusalIs503(t *testing.T) {
	rt := open(t, `{"concurrency": {"max": 1}}`)
	held, err := rt.Enter(t.Context(), users)
	must(t, err)
	response, _ := get(t, serve(t, tggin.Middleware(rt), respond(http.StatusOK))+"/users/1")
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "" {
		t.Fatal(response.Status, response.Header)
	}
	must(t, held.Exit(tidegate.Success))
}

func TestStatusIsClassified(t *testing.T) {
	for status, want := range map[int]tidegate.Outcome{
		200: tidegate.Success, 404: tidegate.Success, 429: tidegate.Overloaded,
		500: tidegate.Failure, 503: tidegate.Overloaded, 504: tidegate.TimedOut,
	} {
		rt := open(t, "")
		get(t, serve(t, tggin.Middleware(rt), respond(status))+"/users/1")
		mustEnd(t, rt, users, want)
	}
}

func TestErrorsThatAHandlerNotesDoNotCountAgainstItsStatus(t *testing.T) {
	rt := open(t, "")
	get(t, serve(t, tggin.Middleware(rt), func(c *gin.Context) {
		_ = c.AbortWithError(http.StatusBadRequest, io.ErrUnexpectedEOF)
	})+"/users/1")
	mustEnd(t, rt, users, tidegate.Success)
}

func TestPanicIsAFailureAndGoesOn(t *testing.T) {
	rt := open(t, "")
	var caught any
	recovers := gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, cause any) {
		caught = cause
		c.AbortWithStatus(http.StatusInternalServerError)
	})
	response, _ := get(t, serve(t, recovers, tggin.Middleware(rt), func(*gin.Context) { panic("no") })+"/users/1")
	if response.StatusCode != http.StatusInternalServerError || caught != "no" {
		t.Fatal(response.Status, caught)
	}
	mustEnd(t, rt, users, tidegate.Failure)
}

func TestRequestContextEndsAtTheDeadline(t *testing.T) {
	rt := open(t, `{"timeout": "1s"}`, tidegate.WithVirtualClock(time.Hour))
	get(t, serve(t, tggin.Middleware(rt), func(c *gin.Context) {
		must(t, rt.Clock().Advance(time.Second))
		<-c.Request.Context().Done()
		c.Status(http.StatusGatewayTimeout)
	})+"/users/1")
	mustEnd(t, rt, users, tidegate.TimedOut)
}

func TestClientWhoLeftIsCancelled(t *testing.T) {
	rt := open(t, "")
	ctx, leave := context.WithCancel(t.Context())
	router := gin.New()
	router.Use(tggin.Middleware(rt))
	router.GET("/users/:id", func(c *gin.Context) { leave(); c.Status(http.StatusInternalServerError) })
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/1", nil).WithContext(ctx))
	mustEnd(t, rt, users, tidegate.Cancelled)
}

func TestOptionsReplaceEachPart(t *testing.T) {
	rt := open(t, `{"rate": [{"limit": 1, "per": "1h", "burst": 1}]}`)
	var refused error
	options := tggin.Options{
		Guard:    func(c *gin.Context) string { return c.Query("guard") },
		Call:     func(*gin.Context) []tidegate.CallOption { return []tidegate.CallOption{tidegate.WithCost(2)} },
		Classify: func(context.Context, int, error) tidegate.Outcome { return tidegate.Ignored },
		Refuse:   func(c *gin.Context, err error) { refused = err; c.String(http.StatusTeapot, "later") },
	}
	url := serve(t, tggin.Middleware(rt, options), respond(http.StatusOK))
	get(t, url+"/users/1?guard=other")
	mustEnd(t, rt, "other", tidegate.Ignored)
	get(t, url+"/users/1") // unguarded
	if s := stats(t, rt, users); s.Calls != [6]uint64{} {
		t.Fatalf("%+v", s)
	}
	response, body := get(t, url+"/users/1?guard=GET+/users/:id")
	if response.StatusCode != http.StatusTeapot || body != "later" || refused == nil {
		t.Fatal(response.Status, body, refused)
	}
}

// This one runs in builds without the library too.
func TestRequestsPassWithoutRules(t *testing.T) {
	rt, err := tidegate.Open()
	must(t, err)
	defer rt.Close()
	response, _ := get(t, serve(t, tggin.Middleware(rt), respond(http.StatusNoContent))+"/users/1")
	if response.StatusCode != http.StatusNoContent {
		t.Fatal(response.Status)
	}
}
