package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidegate/tidegate/demo/svg"
	"github.com/tidegate/tidegate/demo/tally"
)

func example() *Picture {
	return &Picture{
		Title: "a < b & c", Total: 2 * time.Second, Width: time.Second, Limit: 500 * time.Millisecond,
		Phases:  []Span{{0, time.Second, "healthy"}, {time.Second, 2 * time.Second, "slow"}},
		Marks:   []Mark{{time.Second, "rule changed"}},
		Open:    []Span{{0, time.Second, ""}},
		With:    []tally.Window{{Offered: 400, Goodput: 400}, {From: time.Second, Offered: 400, Goodput: 0, P99: time.Second}},
		Without: []tally.Window{{Offered: 400, Goodput: 200}, {From: time.Second, Offered: 400, Goodput: 200}},
	}
}

func TestThePictureIsXML(t *testing.T) {
	var drawn strings.Builder
	if err := example().Draw(&drawn); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(drawn.String()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"a &lt; b &amp; c", "rule changed", "healthy", "calls/s", "seconds since"} {
		if !strings.Contains(drawn.String(), text) {
			t.Errorf("%q is not in it", text)
		}
	}
}

func TestValuesStandWhereTheScaleSays(t *testing.T) {
	p := example()
	got := p.points(p.With, svg.Scale{From: 0, To: 400, Start: middle, End: top}, func(w tally.Window) float64 { return w.Goodput })
	quarter := (right - left) / 4
	want := [][2]float64{{left + quarter, top}, {left + 3*quarter, middle}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
