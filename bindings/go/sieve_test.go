package tidegate

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// slowSieve says the same as sieve in the plainest way: a slice, oldest first.
type slowSieve struct {
	size    int
	entries []slowEntry
	hand    int
}

type slowEntry struct {
	key, value int
	asked      bool
}

func (s *slowSieve) find(key int) int {
	return slices.IndexFunc(s.entries, func(e slowEntry) bool { return e.key == key })
}

func (s *slowSieve) get(key int) (int, bool) {
	i := s.find(key)
	if i < 0 {
		return 0, false
	}
	s.entries[i].asked = true
	return s.entries[i].value, true
}

func (s *slowSieve) put(key, value int) {
	if i := s.find(key); i >= 0 {
		s.entries[i].value = value
		return
	}
	if len(s.entries) == s.size {
		for s.wrap(); s.entries[s.hand].asked; s.wrap() {
			s.entries[s.hand].asked = false
			s.hand++
		}
		s.entries = slices.Delete(s.entries, s.hand, s.hand+1)
		if s.hand == len(s.entries) {
			s.hand = 0
		}
	}
	s.entries = append(s.entries, slowEntry{key: key, value: value})
}

func (s *slowSieve) wrap() {
	if s.hand >= len(s.entries) {
		s.hand = 0
	}
}

func TestSieveEvictsWhatThePlainModelEvicts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 2, 7, 32} {
		fast, slow := newSieve[int, int](size), &slowSieve{size: size}
		for step := range 20000 {
			key := int(random.ExpFloat64() * float64(size))
			if random.IntN(3) > 0 {
				value, ok := fast.get(key)
				if want, wanted := slow.get(key); value != want || ok != wanted {
					t.Fatalf("size %d, step %d: get %d gives %d %v, want %d %v", size, step, key, value, ok, want, wanted)
				}
				continue
			}
			fast.put(key, step)
			slow.put(key, step)
			if fast.len() != len(slow.entries) || fast.len() > size {
				t.Fatalf("size %d, step %d: %d entries, want %d", size, step, fast.len(), len(slow.entries))
			}
		}
	}
}

func TestSieveKeepsItsListWholeWhenEntriesAreRemoved(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	s := newSieve[int, int](16)
	for step := range 20000 {
		key := random.IntN(40)
		switch random.IntN(3) {
		case 0:
			s.remove(key)
		case 1:
			s.get(key)
		default:
			s.put(key, step)
		}
		checkList(t, &s)
	}
}

// checkList walks both ways and looks for the hand.
func checkList(t *testing.T, s *sieve[int, int]) {
	t.Helper()
	var forth, back []int
	hand := s.hand == nil
	for e := s.oldest; e != nil; e = e.newer {
		forth = append(forth, e.key)
		hand = hand || e == s.hand
	}
	for e := s.newest; e != nil; e = e.older {
		back = append(back, e.key)
	}
	slices.Reverse(back)
	if !slices.Equal(forth, back) || len(forth) != s.len() || !hand {
		t.Fatalf("%v, %v, %d entries, hand %v", forth, back, s.len(), hand)
	}
}
