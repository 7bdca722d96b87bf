package load

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tidegate/tidegate/overload/protect"
)

// Arrival is a call that is to be made: when, counted from the start, and how much it matters.
type Arrival struct {
	At          time.Duration
	Criticality protect.Criticality
}

// Stream is a Poisson process of calls that matter alike.
type Stream struct {
	Rate        float64 // calls a second
	From, To    time.Duration
	Criticality protect.Criticality
}

// Schedule lays down the calls of all streams before the first is made. The same seed gives the same calls.
func Schedule(seed uint64, streams ...Stream) (calls []Arrival) {
	for i, stream := range streams {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		gap := func() time.Duration {
			return time.Duration(random.ExpFloat64() / stream.Rate * float64(time.Second))
		}
		for at := stream.From + gap(); at < stream.To; at += gap() {
			calls = append(calls, Arrival{at, stream.Criticality})
		}
	}
	slices.SortStableFunc(calls, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
	return calls
}
