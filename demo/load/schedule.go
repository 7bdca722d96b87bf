package load

import (
	"math/rand/v2"
	"time"
)

// Arrival is a call that is to be made: when, counted from the start, and for whom.
type Arrival struct {
	At   time.Duration
	Tier string
}

// Shares says how many of a hundred calls come from tenants of each tier.
var Shares = []struct {
	Tier    string
	Percent int
}{{"premium", 20}, {"standard", 40}, {"free", 40}}

// Schedule lays down the calls before the first is made: a Poisson process of this rate a second. The same seed gives
// the same calls.
func Schedule(rate float64, total time.Duration, seed uint64) []Arrival {
	random := rand.New(rand.NewPCG(seed, 0))
	gap := func() time.Duration { return time.Duration(random.ExpFloat64() / rate * float64(time.Second)) }
	var calls []Arrival
	for at := gap(); at < total; at += gap() {
		calls = append(calls, Arrival{at, tier(random.IntN(100))})
	}
	return calls
}

func tier(percent int) string {
	for _, share := range Shares {
		if percent -= share.Percent; percent < 0 {
			return share.Tier
		}
	}
	return ""
}
