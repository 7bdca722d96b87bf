package svg

import "math"

// Scale maps values to pixels, evenly.
type Scale struct {
	From, To   float64 // values
	Start, End float64 // pixels
}

// At is where a value stands; one beyond the ends stands at the end.
func (s Scale) At(value float64) float64 {
	share := (value - s.From) / (s.To - s.From)
	return s.Start + min(max(share, 0), 1)*(s.End-s.Start)
}

// Ticks are round values over the scale: steps of 1, 2 or 5 times a power of ten, no more than most of them.
func (s Scale) Ticks(most int) []float64 {
	step := roundUp((s.To - s.From) / float64(most))
	var at []float64
	for value := math.Ceil(s.From/step) * step; value <= s.To+step/1000; value += step {
		at = append(at, value)
	}
	return at
}

// roundUp gives the next of 1, 2, 5, 10, 20, 50...
func roundUp(value float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(value)))
	for _, factor := range []float64{1, 2, 5} {
		if value <= factor*power*1.000001 {
			return factor * power
		}
	}
	return 10 * power
}
