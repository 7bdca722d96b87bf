package service

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidegate/tidegate/overload/protect"
)

const ms = time.Millisecond

// take gives calls to a pool at these moments and says when they are done; -1: the queue was full.
func take(p *Pool, at ...time.Duration) (done []time.Duration) {
	for _, now := range at {
		end, ok := p.Take(now)
		if !ok {
			end = -1
		}
		done = append(done, end)
	}
	return done
}

func TestCallsAreDoneInTheOrderInWhichTheyCame(t *testing.T) {
	got := take(NewPool(2, 10, Fixed(10*ms)), 0, 0, 0, 1*ms, 15*ms, 100*ms)
	want := []time.Duration{10 * ms, 10 * ms, 20 * ms, 20 * ms, 30 * ms, 110 * ms}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	p := NewPool(1, 2, Fixed(10*ms))
	got := take(p, 0, 0, 0, 0, 9*ms, 10*ms, 10*ms, 1000*ms)
	want := []time.Duration{10 * ms, 20 * ms, 30 * ms, -1, -1, 40 * ms, -1, 1010 * ms}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWithoutAQueueOnlyIdleWorkersTakeCalls(t *testing.T) {
	got := take(NewPool(1, 0, Fixed(10*ms)), 0, 9*ms, 10*ms)
	if want := []time.Duration{10 * ms, -1, 20 * ms}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAnOutageHoldsUpWhatComes(t *testing.T) {
	p := NewPool(1, 2, Fixed(10*ms))
	before := take(p, 0)
	p.Stall(100 * ms)
	got := append(before, take(p, 50*ms, 50*ms, 50*ms, 100*ms, 200*ms)...)
	want := []time.Duration{10 * ms, 110 * ms, 120 * ms, -1, 130 * ms, 210 * ms}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What the capacity is said to be, it is: calls that come much faster are done at that rate.
func TestCapacityIsWorkersOverMean(t *testing.T) {
	p := NewPool(8, math.MaxInt, Exponential(40*ms, 1))
	var last time.Duration
	const calls = 100_000
	for range calls {
		done, _ := p.Take(0)
		last = max(last, done)
	}
	if rate := calls / last.Seconds(); math.Abs(rate-200) > 0.2 {
		t.Errorf("%.2f calls a second, not 200", rate)
	}
}

func TestTimesAreExponential(t *testing.T) {
	times := Exponential(40*ms, 1)
	var sum, squares float64
	for i := range 10 * block {
		time := times.Next().Seconds()
		sum, squares = sum+time, squares+time*time
		if (i+1)%block == 0 && math.Abs(sum/float64(i+1)-0.040) > 1e-6 {
			t.Fatalf("the mean of %d is %v", i+1, sum/float64(i+1))
		}
	}
	// An exponential distribution has a deviation equal to its mean; the parts at its end are cut off a little.
	n := 10.0 * block
	if deviation := math.Sqrt(squares/n-0.0016) / 0.040; math.Abs(deviation-1) > 0.05 {
		t.Errorf("the deviation is %v of the mean", deviation)
	}
}

func TestTheSameSeedGivesTheSameTimes(t *testing.T) {
	one, two, other := Exponential(ms, 1), Exponential(ms, 1), Exponential(ms, 2)
	same := 0
	for range 3 * block {
		a := one.Next()
		if b := two.Next(); a != b {
			t.Fatalf("%v and %v", a, b)
		}
		if a == other.Next() {
			same++
		}
	}
	if same > block {
		t.Errorf("another seed gives %d of %d the same", same, 3*block)
	}
}

func TestTimesThatThereAreNot(t *testing.T) {
	if _, err := NamedTimes("gaussian", ms, 1); err == nil || !strings.Contains(err.Error(), "gaussian") {
		t.Error(err)
	}
}

// only lets in as many as it has room for, ever.
type only struct{ room int }

func (o *only) Enter(context.Context, protect.Call) (func(bool), bool) {
	o.room--
	return func(bool) {}, o.room >= 0
}
func (*only) Most() int    { return 0 }
func (*only) Check() error { return nil }
func (*only) Close() error { return nil }

func TestAnAnswerSaysWhoRefused(t *testing.T) {
	s, err := Start("127.0.0.1:0", NewPool(1, 0, Fixed(time.Hour)), &only{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.pool.Take(0); !ok { // the only worker is busy
		t.Fatal("not taken")
	}
	for _, want := range []string{ByQueue, ByProtection} {
		response, err := http.Post(s.URL, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if by := response.Header.Get(RefusedHeader); by != want || response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d, refused by %q, want %q", response.StatusCode, by, want)
		}
	}
	if got, want := s.Counts(), (Counts{Received: 2, Refused: 1, Full: 1, MostInside: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAPortThatCannotBeHadIsNamed(t *testing.T) {
	s, err := Start("127.0.0.1:0", NewPool(1, 0, Fixed(ms)), &only{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	taken := strings.TrimPrefix(s.URL, "http://")
	if _, err := Start(taken, NewPool(1, 0, Fixed(ms)), &only{}); err == nil || !strings.Contains(err.Error(), taken) {
		t.Error(err)
	}
}
