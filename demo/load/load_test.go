package load

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tidegate/tidegate/demo/tally"
)

func TestScheduleIsPoissonOfItsRate(t *testing.T) {
	calls := Schedule(500, 100*time.Second, 1)
	if n := float64(len(calls)); math.Abs(n-50000) > 1000 { // more than four standard deviations
		t.Errorf("%v calls in 100 s at 500/s", n)
	}
	// The gaps of a Poisson process have a standard deviation equal to their mean.
	var sum, squares float64
	for i := 1; i < len(calls); i++ {
		gap := (calls[i].At - calls[i-1].At).Seconds()
		if gap < 0 {
			t.Fatal("calls are out of order")
		}
		sum, squares = sum+gap, squares+gap*gap
	}
	n := float64(len(calls) - 1)
	mean := sum / n
	if deviation := math.Sqrt(squares/n - mean*mean); math.Abs(deviation/mean-1) > 0.05 {
		t.Errorf("deviation of the gaps is %v of their mean", deviation/mean)
	}
}

func TestTheSameSeedGivesTheSameCalls(t *testing.T) {
	one, two := Schedule(500, time.Second, 7), Schedule(500, time.Second, 7)
	if len(one) == 0 || len(one) != len(two) {
		t.Fatalf("%d and %d calls", len(one), len(two))
	}
	for i := range one {
		if one[i] != two[i] {
			t.Fatalf("call %d: %v and %v", i, one[i], two[i])
		}
	}
}

func TestTiersHaveTheirShares(t *testing.T) {
	got := map[string]int{}
	for percent := range 100 {
		got[tier(percent)]++
	}
	for _, share := range Shares {
		if got[share.Tier] != share.Percent {
			t.Errorf("%s: %d of 100, want %d", share.Tier, got[share.Tier], share.Percent)
		}
	}
}

func TestAnswersAreToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		stage  string
		took   time.Duration
		want   tally.End
	}{
		"in time": {200, "", tally.InTimeLimit, tally.InTime},
		"late":    {200, "", tally.InTimeLimit + 1, tally.Late},
		"failed":  {502, "", time.Millisecond, tally.Failed},
		"refused": {503, "breaker", time.Millisecond, tally.Refused},
	} {
		result := tally.Call{Took: c.took}
		judge(&result, &http.Response{StatusCode: c.status, Header: http.Header{"Refused-By": {c.stage}}})
		if result.End != c.want || result.Stage != c.stage {
			t.Errorf("%s: %+v", name, result)
		}
	}
}

// A service that holds every call must still get all of them, each measured from when it was to be made.
func TestTheLoopIsOpen(t *testing.T) {
	calls := make([]Arrival, 50)
	inside, open := make(chan struct{}, len(calls)), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-open
	}))
	defer server.Close()
	go func() {
		for range calls {
			<-inside
		}
		close(open)
	}()
	var to tally.Tally
	late := time.Hour // so long ago were they to be made
	Run(context.Background(), server.URL, calls, time.Now().Add(-late), &to)
	for _, call := range to.Calls() {
		if call.End != tally.Late || call.Took < late {
			t.Fatalf("%+v", call)
		}
	}
	if n := len(to.Calls()); n != len(calls) {
		t.Errorf("%d of %d calls", n, len(calls))
	}
}

func TestNobodyThereIsNoAnswer(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	var to tally.Tally
	Run(context.Background(), server.URL, []Arrival{{}}, time.Now(), &to)
	if got := to.Calls(); len(got) != 1 || got[0].End != tally.NoAnswer {
		t.Errorf("%+v", got)
	}
}
