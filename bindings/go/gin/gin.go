// Package gin guards the routes of a Gin server.
//
//	import tggin "github.com/tidegate/tidegate/bindings/go/gin"
//
//	router := gin.New()
//	router.Use(gin.Recovery(), tggin.Middleware(rt))
//
// A route's guard is its method and pattern, as in "GET /users/:id": one guard a
// route, whatever is asked of it. Requests that no route answers share the guard
// [Unmatched].
//
// Nothing is tried again here, whatever the guard's rule "retry" says: that is
// for the request's sender, who is told when to come back.
package gin

import (
	"github.com/gin-gonic/gin"

	"github.com/tidegate/tidegate/bindings/go"
)

// Unmatched is the guard of requests that no route answers.
const Unmatched = "gin.unmatched"

// Options change what [Middleware] does. The zero value is right for most.
type Options struct {
	// Guard names the guard for a request, in place of its route; "" leaves the
	// request unguarded. Names should be few, and at most 128 bytes.
	Guard func(*gin.Context) string
	// Call gives the guard what it should know of a request: its key, cost,
	// criticality or attributes.
	Call func(*gin.Context) []tidegate.CallOption
	// Classify replaces tidegate.ClassifyHTTP, which judges by the response's
	// status. Its err is always nil.
	Classify tidegate.HTTPClassifier
	// Refuse answers a request that the guard refused, in place of
	// tidegate.WriteRefusal. err is what Guard.Enter returned. The handlers
	// after the middleware are not run in any case.
	Refuse func(c *gin.Context, err error)
}

// Middleware guards the handlers that come after it. A request that the guard
// refuses is aborted and answered with 429 for a refusal by rate and 503 for any
// other, with Retry-After where the time is known. The others run with a request
// context that ends at the permit's deadline. The permit is exited when the
// handlers have returned, with the outcome that tidegate.ClassifyHTTP sees in
// the response's status; a handler that panics counts as Failure, and the panic
// goes on, to gin.Recovery for one.
func Middleware(rt *tidegate.Runtime, options ...Options) gin.HandlerFunc {
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	return (&middleware{rt, o.withDefaults()}).serve
}

func (o Options) withDefaults() Options {
	if o.Guard == nil {
		o.Guard = route
	}
	if o.Classify == nil {
		o.Classify = tidegate.ClassifyHTTP
	}
	if o.Refuse == nil {
		o.Refuse = func(c *gin.Context, err error) { tidegate.WriteRefusal(c.Writer, err) }
	}
	return o
}

func route(c *gin.Context) string {
	if c.FullPath() == "" {
		return Unmatched
	}
	return c.Request.Method + " " + c.FullPath()
}

type middleware struct {
	rt      *tidegate.Runtime
	options Options
}

func (m *middleware) serve(c *gin.Context) {
	name := m.options.Guard(c)
	if name == "" {
		c.Next()
		return
	}
	permit, err := m.rt.Enter(c.Request.Context(), name, m.about(c)...)
	if err != nil {
		c.Abort()
		m.options.Refuse(c, err)
		return
	}
	m.run(c, &permit)
}

func (m *middleware) about(c *gin.Context) []tidegate.CallOption {
	if m.options.Call == nil {
		return nil
	}
	return m.options.Call(c)
}

// run lets the other handlers work while the permit is held.
func (m *middleware) run(c *gin.Context, permit *tidegate.Permit) {
	outcome := tidegate.Failure
	defer func() { _ = permit.Exit(outcome) }()
	caller := c.Request.Context()
	ctx, cancel := permit.Context(caller)
	defer cancel()
	if ctx != caller {
		c.Request = c.Request.WithContext(ctx)
	}
	c.Next()
	outcome = m.options.Classify(caller, c.Writer.Status(), nil)
}
