package load

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/tidegate/tidegate/overload/protect"
	"github.com/tidegate/tidegate/overload/service"
	"github.com/tidegate/tidegate/overload/tally"
)

func TestStreamsArePoissonOfTheirRates(t *testing.T) {
	calls := Schedule(1,
		Stream{Rate: 500, To: 100 * time.Second, Criticality: protect.Critical},
		Stream{Rate: 1000, From: 20 * time.Second, To: 40 * time.Second, Criticality: protect.Sheddable})
	count := map[protect.Criticality]float64{}
	var last time.Duration
	for _, call := range calls {
		if call.At < last || call.Criticality == protect.Sheddable && (call.At < 20*time.Second || call.At >= 40*time.Second) {
			t.Fatalf("%+v after %s", call, last)
		}
		last = call.At
		count[call.Criticality]++
	}
	// More than four standard deviations.
	if math.Abs(count[protect.Critical]-50000) > 1000 || math.Abs(count[protect.Sheddable]-20000) > 600 {
		t.Error(count)
	}
}

func TestTheSameSeedGivesTheSameCalls(t *testing.T) {
	stream := Stream{Rate: 500, To: time.Second}
	one, two, other := Schedule(7, stream), Schedule(7, stream), Schedule(8, stream)
	if len(one) == 0 || !slices.Equal(one, two) || slices.Equal(one, other) {
		t.Errorf("%d, %d and %d calls", len(one), len(two), len(other))
	}
}

// A service that holds every call must still get all of them, each measured from when it was to be made.
func TestTheLoopIsOpen(t *testing.T) {
	calls := make([]Arrival, 50)
	inside, open := make(chan struct{}), make(chan struct{})
	go func() {
		for range calls {
			<-inside
		}
		close(open)
	}()
	late := time.Hour // so long ago were they to be made
	ends := Run(context.Background(), calls, time.Now().Add(-late), time.Second,
		func(context.Context, Arrival) (tally.End, int) {
			inside <- struct{}{}
			<-open
			return tally.Good, 1
		})
	if len(ends) != len(calls) {
		t.Errorf("%d of %d calls", len(ends), len(calls))
	}
	for _, end := range ends {
		if end.End != tally.Late || end.Took < late || end.Sent < late {
			t.Fatalf("%+v", end)
		}
	}
}

func TestWhoIsInterruptedMakesNoMoreCalls(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ends := Run(ctx, []Arrival{{}, {At: time.Hour}}, time.Now(), time.Hour,
		func(context.Context, Arrival) (tally.End, int) {
			cancel()
			return tally.Good, 1
		})
	if len(ends) != 1 || ends[0].End != tally.Good {
		t.Errorf("%+v", ends)
	}
}

func TestAnswersAreToldApart(t *testing.T) {
	for _, c := range []struct {
		status int
		by     string
		err    error
		want   tally.End
	}{
		{200, "", nil, tally.Good}, {503, service.ByProtection, nil, tally.Refused}, {503, service.ByQueue, nil, tally.Full},
		{500, "", nil, tally.Failed}, {200, "", io.ErrUnexpectedEOF, tally.Failed},
	} {
		got := endOf(&http.Response{StatusCode: c.status, Header: http.Header{service.RefusedHeader: {c.by}}}, c.err)
		if got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestTheClientSaysHowMuchACallMatters(t *testing.T) {
	said := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		said <- r.Header.Get(service.CriticalityHeader)
	}))
	client := NewClient(server.URL)
	end := client.Ask(context.Background(), protect.Critical)
	if got := <-said; got != "critical" || end != tally.Good {
		t.Errorf("%q, %v", got, end)
	}
	client.Close()
	server.Close()
	if end := client.Ask(context.Background(), protect.Critical); end != tally.Failed {
		t.Errorf("nobody is there: %v", end)
	}
}

// Who gives up leaves the request under way, and Close waits for it.
func TestAnAttemptThatIsGivenUpStaysUnderWay(t *testing.T) {
	inside, answered := make(chan struct{}), errors.New("not yet")
	open := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(inside)
		<-open
		answered = nil
	}))
	defer server.Close()
	client := NewClient(server.URL)
	ctx := context.Background()
	if end := client.AskWithin(ctx, time.Nanosecond, protect.Default); end != tally.Late {
		t.Errorf("%v", end)
	}
	<-inside
	close(open)
	client.Close()
	server.Close()
	if answered != nil {
		t.Error(answered)
	}
}
