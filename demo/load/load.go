// Package load makes calls at moments laid down beforehand, whether or not earlier ones were answered (an open loop),
// and measures from the moment at which a call was to be made. A service that answers slowly so cannot slow the load
// down and hide how long callers waited ("coordinated omission", Gil Tene).
package load

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tidegate/tidegate/demo/tally"
)

const (
	patience    = 5 * time.Second // after which a caller goes away without an answer
	outstanding = 4000            // calls at most; one more counts as unanswered
)

// Run makes the calls from begin on and returns when the last one is answered; when ctx ends it makes no more.
func Run(ctx context.Context, url string, calls []Arrival, begin time.Time, to *tally.Tally) {
	client := newClient()
	defer client.CloseIdleConnections()
	places := make(chan struct{}, outstanding)
	var answered sync.WaitGroup
	defer answered.Wait()
	for _, call := range calls {
		if !sleepUntil(ctx, begin.Add(call.At)) {
			return
		}
		to.Begin(call.At)
		select {
		case places <- struct{}{}:
		default:
			to.End(tally.Call{At: call.At, Tier: call.Tier, End: tally.NoAnswer})
			continue
		}
		answered.Add(1)
		go func() {
			defer answered.Done()
			to.End(ask(client, url, call, begin))
			<-places
		}()
	}
}

func newClient() *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: outstanding, IdleConnTimeout: time.Minute}
	return &http.Client{Transport: transport, Timeout: patience}
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	wait := time.NewTimer(time.Until(at))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask makes one call and says how it ended.
func ask(client *http.Client, url string, call Arrival, begin time.Time) tally.Call {
	result := tally.Call{At: call.At, Tier: call.Tier, End: tally.NoAnswer}
	request, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		return result
	}
	request.Header.Set("Tier", call.Tier)
	response, err := client.Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	result.Took = time.Since(begin) - call.At
	if err == nil {
		judge(&result, response)
	}
	return result
}

func judge(result *tally.Call, response *http.Response) {
	result.Stage = response.Header.Get("Refused-By")
	switch {
	case result.Stage != "":
		result.End = tally.Refused
		result.Reason, _ = strconv.Atoi(response.Header.Get("Refused-Reason"))
	case response.StatusCode != http.StatusOK:
		result.End = tally.Failed
	case result.Took > tally.InTimeLimit:
		result.End = tally.Late
	default:
		result.End = tally.InTime
	}
}
