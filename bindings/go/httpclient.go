package tidegate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync"
)

// RoundTripper guards the requests of an HTTP client; next does the work, and
// nil means http.DefaultTransport. A refused request returns a [RefusedError]
// (which http.Client wraps in a url.Error) and is not sent.
//
// The permit is held until the response's body is read to its end or closed,
// so that a body still streaming counts as in flight. A body that is neither
// is exited when the request's context ends or, at the latest, when the
// collector finds the response. A failed read of the body makes a good
// response's outcome what [HTTPClassifier] says of the error. A response
// without a body, and one that switches protocols, is exited at once.
//
// guard is the guard's name; [HTTPOptions] may choose one by request instead.
// The request's context gets the permit's deadline, and the server is told of it
// by [HeaderExpectedTimeout].
//
// Where the guard's rules have retries, requests are sent again as they say:
// those of idempotent methods or with an Idempotency-Key, whose body, if there
// is one, GetBody gives anew. Others only where the guard refused them. A
// Retry-After is waited for. Each attempt is an entry of its own.
func (rt *Runtime) RoundTripper(next http.RoundTripper, guard string, options ...HTTPOptions) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &roundTripper{newHTTPGuard(rt, guard, options), next}
}

type roundTripper struct {
	httpGuard
	next http.RoundTripper
}

func (t *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	retry := t.beginRetry(r)
	for next := r; ; {
		response, outcome, err := t.send(next, retry.commonLimit())
		again, err := t.again(retry, r, response, outcome, err)
		if !again {
			if err != nil {
				response = nil
			}
			return response, err
		}
		if next, err = rewound(r); err != nil {
			retry.abandon()
			return nil, err
		}
	}
}

// send makes one attempt.
func (t *roundTripper) send(r *http.Request, limit commonLimit) (*http.Response, Outcome, error) {
	call := &clientCall{classify: t.options.Classify, caller: r.Context()}
	if err := t.enter(r, &call.permit, limit); err != nil {
		closeBody(r)
		if errors.Is(err, ErrRefused) {
			return nil, outcomeRefused, err
		}
		return nil, Cancelled, err
	}
	sent := false
	defer func() { call.abandon(sent) }()
	call.ctx, call.cancel = call.permit.Context(r.Context())
	r = t.about(r, call)
	response, err := t.next.RoundTrip(r)
	sent = true
	status := 0
	if err == nil {
		status = response.StatusCode
	}
	outcome := call.classify(call.caller, status, err)
	call.answered(response, err)
	return response, outcome, err
}

// about is the request with the call's context, and the time that it has.
func (t *roundTripper) about(r *http.Request, call *clientCall) *http.Request {
	left, limited := call.permit.TimeLeft()
	tell := limited && !t.options.NoDeadline && r.Header.Get(HeaderExpectedTimeout) == ""
	if call.ctx != r.Context() || tell {
		r = r.WithContext(call.ctx)
	}
	if tell {
		r.Header = r.Header.Clone()
		if r.Header == nil {
			r.Header = http.Header{}
		}
		SetTimeLimit(r.Header, left-saturate(call.permit.entry.wait))
	}
	return r
}

// CloseIdleConnections is for http.Client's method of this name.
func (t *roundTripper) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// closeBody does what a RoundTripper owes also when it does not send.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// clientCall is one request from enter to exit.
type clientCall struct {
	permit   Permit
	classify HTTPClassifier
	caller   context.Context
	ctx      context.Context // the caller's, with the permit's deadline
	cancel   context.CancelFunc
	status   int
	once     sync.Once
}

// abandon exits a call whose transport panicked.
func (c *clientCall) abandon(sent bool) {
	if !sent {
		c.exit(Failure)
	}
}

// answered exits the call, or leaves that to the end of the body.
func (c *clientCall) answered(response *http.Response, err error) {
	if err != nil {
		c.exit(c.classify(c.caller, 0, err))
		return
	}
	c.status = response.StatusCode
	switch {
	case c.status == http.StatusSwitchingProtocols:
		c.cancel = func() {} // the connection lives on under this context
		c.end(nil)
	case response.Body == nil || response.Body == http.NoBody:
		c.end(nil)
	default:
		response.Body = c.watch(response.Body)
	}
}

// end judges the answer, or the error that broke its body off.
func (c *clientCall) end(err error) {
	outcome := c.classify(c.caller, c.status, nil)
	if err != nil && outcome == Success {
		outcome = c.classify(c.caller, 0, err)
	}
	c.exit(outcome)
}

func (c *clientCall) exit(outcome Outcome) {
	c.once.Do(func() {
		_ = c.permit.Exit(outcome)
		if c.cancel != nil {
			c.cancel()
		}
	})
}

// clientBody ends its call with the body. The call itself does not know the
// body, so that one that was dropped can be collected.
type clientBody struct {
	io.ReadCloser
	call   *clientCall
	unlink func() bool
}

func (c *clientCall) watch(body io.ReadCloser) io.ReadCloser {
	unlink := context.AfterFunc(c.ctx, func() { c.end(c.ctx.Err()) })
	watched := &clientBody{body, c, unlink}
	runtime.AddCleanup(watched, func(c *clientCall) { c.end(nil) }, c)
	return watched
}

func (b *clientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.finish(err)
	}
	return n, err
}

func (b *clientBody) Close() error {
	err := b.ReadCloser.Close()
	b.finish(nil)
	return err
}

func (b *clientBody) finish(err error) {
	b.unlink()
	if err == io.EOF {
		err = nil
	}
	b.call.end(err)
}
