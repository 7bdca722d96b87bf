// Package chart draws goodput and the 99th percentile over the offered load, a line a protection.
package chart

import (
	"fmt"
	"io"
	"math"

	"github.com/tidegate/tidegate/demo/svg"
)

// Value is what a protection came to at one load.
type Value struct {
	Offered float64 // times the capacity
	Goodput float64 // % of the capacity
	P99     float64 // ms, of the answered; 0: none was
}

// Line is a protection's values, the least load first.
type Line struct {
	Name   string
	Values []Value
}

// Picture is what to draw.
type Picture struct {
	Title, Subtitle string
	Deadline        float64 // ms
	Lines           []*Line
}

// Line finds the line of this name, and adds it where there is none yet.
func (p *Picture) Line(name string) *Line {
	for _, line := range p.Lines {
		if line.Name == name {
			return line
		}
	}
	p.Lines = append(p.Lines, &Line{Name: name})
	return p.Lines[len(p.Lines)-1]
}

const (
	width, height = 1000.0, 640.0
	left, right   = 64.0, 820.0
	top, middle   = 76.0, 320.0  // the upper plot
	below, bottom = 360.0, 590.0 // the lower one

	grey, ink = "#6b6b6b", "#222222"
)

// The colours of Okabe and Ito, which eyes of all kinds tell apart, and dashes for those that cannot see any.
var (
	colours = []string{"#000000", "#0072B2", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#E69F00"}
	dashes  = []string{"2 3", "", "9 3", "5 2", "9 3 2 3", "7 3", "3 2"}
)

// Draw writes the picture as SVG.
func (p *Picture) Draw(to io.Writer) error {
	s := &svg.Document{}
	s.Open(width, height)
	s.Text(left, 28, `font-size="17" font-weight="bold" fill="`+ink+`"`, p.Title)
	s.Text(left, 48, `fill="`+grey+`"`, p.Subtitle)
	p.drawGoodput(s)
	p.drawLatency(s)
	s.Text((left+right)/2, bottom+38, `text-anchor="middle" fill="`+ink+`"`, "offered load, times the capacity")
	p.drawLegend(s)
	s.Close()
	_, err := io.WriteString(to, s.String())
	return err
}

func (p *Picture) drawGoodput(s *svg.Document) {
	y := svg.Scale{From: 0, To: 110, Start: middle, End: top}
	p.drawAxes(s, y, "goodput, % of the capacity", []float64{0, 20, 40, 60, 80, 100}, func(v float64) float64 { return v })
	s.Path([][2]float64{{p.x(p.least()), y.At(100 * p.least())}, {p.x(1), y.At(100)}, {right, y.At(100)}},
		`stroke="`+grey+`" stroke-width="1" stroke-dasharray="1 4"`)
	p.drawLines(s, func(v Value) (float64, bool) { return y.At(v.Goodput), true })
}

func (p *Picture) drawLatency(s *svg.Document) {
	ticks := []float64{50, 100, 200, 500, 1000, 2000}
	y := svg.Scale{From: math.Log(ticks[0] / 2), To: math.Log(ticks[len(ticks)-1]), Start: bottom, End: below}
	p.drawAxes(s, y, "p99 of the answered, ms", ticks, math.Log)
	deadline := y.At(math.Log(p.Deadline))
	s.Line(left, deadline, right, deadline, `stroke="`+ink+`" stroke-dasharray="1 3"`)
	s.Text(right+8, deadline+4, `fill="`+grey+`"`, "good up to here")
	p.drawLines(s, func(v Value) (float64, bool) { return y.At(math.Log(max(v.P99, 1))), v.P99 > 0 })
}

// drawLines draws each protection's values where at says that they are, if anywhere.
func (p *Picture) drawLines(s *svg.Document, at func(Value) (y float64, ok bool)) {
	for i, line := range p.Lines {
		var points [][2]float64
		for _, value := range line.Values {
			if y, ok := at(value); ok {
				points = append(points, [2]float64{p.x(value.Offered), y})
			}
		}
		s.Path(points, stroke(i))
		for _, point := range points {
			s.Rect(point[0]-2.5, point[1]-2.5, 5, 5, `fill="`+colours[i%len(colours)]+`"`)
		}
	}
}

func stroke(i int) string {
	return fmt.Sprintf(`stroke="%s" stroke-width="2.2" stroke-dasharray="%s"`, colours[i%len(colours)], dashes[i%len(dashes)])
}

// x is where a load stands, on a scale of equal ratios.
func (p *Picture) x(offered float64) float64 {
	scale := svg.Scale{From: math.Log(p.least()), To: math.Log(p.most()), Start: left + 16, End: right - 16}
	return scale.At(math.Log(offered))
}

func (p *Picture) least() float64 { return p.Lines[0].Values[0].Offered }

func (p *Picture) most() float64 {
	values := p.Lines[0].Values
	return values[len(values)-1].Offered
}

// drawAxes draws those of one plot; on maps a tick to the scale's values.
func (p *Picture) drawAxes(s *svg.Document, y svg.Scale, label string, ticks []float64, on func(float64) float64) {
	for _, value := range ticks {
		at := y.At(on(value))
		s.Line(left, at, right, at, `stroke="#d0d0d0" stroke-width="0.7"`)
		s.Text(left-8, at+4, `text-anchor="end" fill="`+grey+`"`, fmt.Sprintf("%g", value))
	}
	for _, value := range p.Lines[0].Values {
		at := p.x(value.Offered)
		s.Line(at, y.Start, at, y.Start+4, `stroke="`+grey+`"`)
		s.Text(at, y.Start+17, `text-anchor="middle" fill="`+grey+`"`, fmt.Sprintf("%g", value.Offered))
	}
	s.Line(left, y.Start, right, y.Start, `stroke="`+grey+`"`)
	centre := (y.Start + y.End) / 2
	s.Text(18, centre, fmt.Sprintf(`text-anchor="middle" fill="%s" transform="rotate(-90 18 %.1f)"`, ink, centre), label)
}

func (p *Picture) drawLegend(s *svg.Document) {
	const from = right + 12
	for i, line := range p.Lines {
		y := top + 10 + 22*float64(i)
		s.Line(from, y, from+30, y, stroke(i))
		s.Text(from+36, y+4, `fill="`+ink+`"`, line.Name)
	}
	y := top + 10 + 22*float64(len(p.Lines))
	s.Line(from, y, from+30, y, `stroke="`+grey+`" stroke-dasharray="1 4"`)
	s.Text(from+36, y+4, `fill="`+ink+`"`, "best possible")
}
