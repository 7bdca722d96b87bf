package load

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tidegate/tidegate/overload/protect"
	"github.com/tidegate/tidegate/overload/service"
	"github.com/tidegate/tidegate/overload/tally"
)

const connections = 4096 // kept open, so that no port is used up by opening one for each call

// Client asks one server.
type Client struct {
	url  string
	http http.Client
	out  sync.WaitGroup // requests that nobody waits for any more among them
}

// NewClient asks the server at this URL.
func NewClient(url string) *Client {
	return &Client{url: url, http: http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, DisableCompression: true,
	}}}
}

// Close waits until the last request is answered, also of those that were given up.
func (c *Client) Close() {
	c.out.Wait()
	c.http.CloseIdleConnections()
}

// Ask makes one request, and waits for its answer however long it takes.
func (c *Client) Ask(ctx context.Context, criticality protect.Criticality) tally.End {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, nil)
	if err != nil {
		return tally.Failed
	}
	request.Header.Set(service.CriticalityHeader, string(criticality))
	response, err := c.http.Do(request)
	if err != nil {
		return tally.Failed
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return endOf(response, err)
}

func endOf(response *http.Response, err error) tally.End {
	switch by := response.Header.Get(service.RefusedHeader); {
	case err != nil:
		return tally.Failed
	case by == service.ByProtection:
		return tally.Refused
	case by == service.ByQueue:
		return tally.Full
	case response.StatusCode == http.StatusOK:
		return tally.Good
	}
	return tally.Failed
}

// AskWithin is Ask, but gives up after the limit: Late. The request itself stays under way, as where a server does not
// notice that its caller has gone.
func (c *Client) AskWithin(ctx context.Context, limit time.Duration, criticality protect.Criticality) tally.End {
	answer := make(chan tally.End, 1)
	c.out.Add(1)
	go func() {
		defer c.out.Done()
		answer <- c.Ask(ctx, criticality)
	}()
	patience := time.NewTimer(limit)
	defer patience.Stop()
	select {
	case end := <-answer:
		return end
	case <-patience.C:
		return tally.Late
	}
}
