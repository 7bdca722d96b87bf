package svg

import (
	"slices"
	"testing"
)

func TestScale(t *testing.T) {
	y := Scale{0, 500, 300, 100} // upwards, as on a screen
	for value, want := range map[float64]float64{0: 300, 250: 200, 500: 100, 900: 100, -1: 300} {
		if got := y.At(value); got != want {
			t.Errorf("%v is at %v, want %v", value, got, want)
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		to   float64
		most int
		want []float64
	}{
		{622, 4, []float64{0, 200, 400, 600}}, {23, 12, []float64{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22}},
		{7, 5, []float64{0, 2, 4, 6}}, {10, 2, []float64{0, 5, 10}},
	} {
		if got := (Scale{From: 0, To: c.to}).Ticks(c.most); !slices.Equal(got, c.want) {
			t.Errorf("to %v: %v, want %v", c.to, got, c.want)
		}
	}
}
