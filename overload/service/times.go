package service

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// block is how many calls take exactly as long together as their mean says.
const block = 100

// Times are how long the work of one call after another takes. Not for concurrent use.
type Times struct {
	list   []time.Duration
	next   int
	random *rand.Rand
}

// Fixed times are all the same.
func Fixed(mean time.Duration) *Times {
	return &Times{list: []time.Duration{mean}, random: rand.New(rand.NewPCG(0, 0))}
}

// Exponential times are spread exponentially around their mean. They are drawn without putting back from 100 equally
// likely parts of the distribution, in an order that the seed gives, so that each 100 calls take 100 means together: a
// short run then has the capacity that it is said to have, within a call or two.
func Exponential(mean time.Duration, seed uint64) *Times {
	t := &Times{random: rand.New(rand.NewPCG(seed, 1)), next: block}
	var sum float64
	shares := make([]float64, block)
	for i := range shares {
		shares[i] = -math.Log(1 - (float64(i)+0.5)/block)
		sum += shares[i]
	}
	for _, share := range shares {
		t.list = append(t.list, time.Duration(share/sum*block*float64(mean)))
	}
	return t
}

// NamedTimes gives "exponential" or "fixed" ones.
func NamedTimes(name string, mean time.Duration, seed uint64) (*Times, error) {
	switch name {
	case "exponential":
		return Exponential(mean, seed), nil
	case "fixed":
		return Fixed(mean), nil
	}
	return nil, fmt.Errorf("no such service times: %q (there are exponential and fixed)", name)
}

// Next is how long the next call takes.
func (t *Times) Next() time.Duration {
	if t.next >= len(t.list) {
		t.random.Shuffle(len(t.list), func(i, j int) { t.list[i], t.list[j] = t.list[j], t.list[i] })
		t.next = 0
	}
	t.next++
	return t.list[t.next-1]
}
