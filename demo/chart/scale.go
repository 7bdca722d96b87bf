package chart

import "math"

// scale maps values to pixels, evenly.
type scale struct {
	from, to   float64 // values
	start, end float64 // pixels
}

func (s scale) at(value float64) float64 {
	share := (value - s.from) / (s.to - s.from)
	return s.start + min(max(share, 0), 1)*(s.end-s.start)
}

// ticks are round values over the scale: steps of 1, 2 or 5 times a power of ten, no more than most of them.
func (s scale) ticks(most int) []float64 {
	step := roundUp((s.to - s.from) / float64(most))
	var at []float64
	for value := math.Ceil(s.from/step) * step; value <= s.to+step/1000; value += step {
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
