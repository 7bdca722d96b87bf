// Package chart draws the two runs as one picture: goodput above, the 99th percentile below.
package chart

import (
	"fmt"
	"io"
	"time"

	"github.com/tidegate/tidegate/demo/svg"
	"github.com/tidegate/tidegate/demo/tally"
)

// Span is a stretch of the run with a label.
type Span struct {
	From, To time.Duration
	Label    string
}

// Mark is a moment with a label.
type Mark struct {
	At    time.Duration
	Label string
}

// Picture is what to draw.
type Picture struct {
	Title, Subtitle string
	Total, Width    time.Duration // of the run; of a window
	Limit           time.Duration // after which an answer is late
	Phases          []Span
	Marks           []Mark
	Open            []Span // when the breaker was open
	With, Without   []tally.Window
}

const (
	width, height = 1000.0, 640.0
	left, right   = 64.0, 850.0
	top, middle   = 118.0, 330.0 // the upper plot
	below, bottom = 392.0, 590.0 // the lower one

	// Two of the colours of Okabe and Ito, which eyes of all kinds tell apart; one line is dashed as well.
	blue, orange = "#0072B2", "#D55E00"
	grey, ink    = "#6b6b6b", "#222222"
	solid        = `stroke="` + blue + `" stroke-width="2.5"`
	dashed       = `stroke="` + orange + `" stroke-width="2" stroke-dasharray="7 3"`
)

// Draw writes the picture as SVG.
func (p *Picture) Draw(to io.Writer) error {
	s := &svg.Document{}
	s.Open(width, height)
	s.Text(left, 28, `font-size="17" font-weight="bold" fill="`+ink+`"`, p.Title)
	s.Text(left, 48, `fill="`+grey+`"`, p.Subtitle)
	p.drawPhases(s)
	p.drawGoodput(s)
	p.drawLatency(s)
	p.drawMarks(s)
	s.Close()
	_, err := io.WriteString(to, s.String())
	return err
}

func (p *Picture) x() svg.Scale {
	return svg.Scale{From: 0, To: p.Total.Seconds(), Start: left, End: right}
}

func (p *Picture) drawPhases(s *svg.Document) {
	x := p.x()
	for i, phase := range p.Phases {
		from, to := x.At(phase.From.Seconds()), x.At(phase.To.Seconds())
		fill := []string{"#f7f7f7", "#ebebeb"}[i%2]
		for _, plot := range [][2]float64{{top, middle}, {below, bottom}} {
			s.Rect(from, plot[0], to-from, plot[1]-plot[0], `fill="`+fill+`"`)
		}
		s.Text((from+to)/2, top-30, `text-anchor="middle" fill="`+ink+`"`, phase.Label)
	}
}

func (p *Picture) drawGoodput(s *svg.Document) {
	var most float64
	for _, window := range append(append([]tally.Window{}, p.With...), p.Without...) {
		most = max(most, window.Offered)
	}
	y := svg.Scale{From: 0, To: most * 1.1, Start: middle, End: top}
	p.drawAxes(s, y, 4, "answered in time, calls/s", "%g")
	value := func(w tally.Window) float64 { return w.Goodput }
	offered := func(w tally.Window) float64 { return w.Offered }
	s.Path(p.points(p.With, y, offered), `stroke="`+grey+`" stroke-width="1" stroke-dasharray="2 2"`)
	s.Path(p.points(p.Without, y, value), dashed)
	s.Path(p.points(p.With, y, value), solid)
	p.nameLines(s, y, value)
	p.drawLegend(s)
	p.drawOpen(s)
}

func (p *Picture) drawLatency(s *svg.Document) {
	most := p.Limit.Seconds()
	for _, window := range append(append([]tally.Window{}, p.With...), p.Without...) {
		most = max(most, window.P99.Seconds())
	}
	y := svg.Scale{From: 0, To: most * 1.2, Start: bottom, End: below}
	p.drawAxes(s, y, 5, "p99 of all calls, s", "%.2g")
	limit := y.At(p.Limit.Seconds())
	s.Line(left, limit, right, limit, `stroke="`+ink+`" stroke-dasharray="1 3"`)
	s.Text(right+8, limit+4, `fill="`+grey+`"`, "in time up to here")
	value := func(w tally.Window) float64 { return w.P99.Seconds() }
	s.Path(p.points(p.Without, y, value), dashed)
	s.Path(p.points(p.With, y, value), solid)
	p.nameLines(s, y, value)
	s.Text((left+right)/2, bottom+36, `text-anchor="middle" fill="`+ink+`"`, "seconds since the start of the run")
}

func (p *Picture) points(windows []tally.Window, y svg.Scale, value func(tally.Window) float64) (points [][2]float64) {
	x := p.x()
	for _, window := range windows {
		centre := window.From + min(p.Width, p.Total-window.From)/2
		points = append(points, [2]float64{x.At(centre.Seconds()), y.At(value(window))})
	}
	return points
}

// nameLines writes the names on the lines, where they are far apart: late in the second phase.
func (p *Picture) nameLines(s *svg.Document, y svg.Scale, value func(tally.Window) float64) {
	phase := p.Phases[1]
	at := int((phase.From + (phase.To-phase.From)*3/4) / p.Width)
	for _, line := range []struct {
		windows      []tally.Window
		name, colour string
	}{{p.Without, "without", orange}, {p.With, "with Tidegate", blue}} {
		point := p.points(line.windows[at:at+1], y, value)[0]
		s.Text(point[0], point[1]-16, `text-anchor="middle" font-weight="bold" fill="`+line.colour+`"`, line.name)
	}
}

func (p *Picture) drawAxes(s *svg.Document, y svg.Scale, ticks int, label, format string) {
	for _, value := range y.Ticks(ticks) {
		at := y.At(value)
		s.Line(left, at, right, at, `stroke="#d0d0d0" stroke-width="0.7"`)
		s.Text(left-8, at+4, `text-anchor="end" fill="`+grey+`"`, fmt.Sprintf(format, value))
	}
	x := p.x()
	for _, value := range x.Ticks(12) {
		at := x.At(value)
		s.Line(at, y.Start, at, y.Start+4, `stroke="`+grey+`"`)
		s.Text(at, y.Start+17, `text-anchor="middle" fill="`+grey+`"`, fmt.Sprintf("%g", value))
	}
	s.Line(left, y.Start, right, y.Start, `stroke="`+grey+`"`)
	centre := (y.Start + y.End) / 2
	s.Text(18, centre, fmt.Sprintf(`text-anchor="middle" fill="%s" transform="rotate(-90 18 %.1f)"`, ink, centre), label)
}

func (p *Picture) drawLegend(s *svg.Document) {
	const from = right + 12
	s.Line(from, top+10, from+28, top+10, solid)
	s.Text(from+34, top+14, `fill="`+ink+`"`, "with Tidegate")
	s.Line(from, top+32, from+28, top+32, dashed)
	s.Text(from+34, top+36, `fill="`+ink+`"`, "without")
	s.Line(from, top+54, from+28, top+54, `stroke="`+grey+`" stroke-dasharray="2 2"`)
	s.Text(from+34, top+58, `fill="`+ink+`"`, "offered")
}

// drawOpen shows when the breaker was open, under the upper plot.
func (p *Picture) drawOpen(s *svg.Document) {
	x := p.x()
	for _, span := range p.Open {
		from, to := x.At(span.From.Seconds()), x.At(span.To.Seconds())
		s.Rect(from, middle+22, max(to-from, 1), 9, `fill="`+blue+`"`)
	}
	s.Text(left-8, middle+31, `text-anchor="end" fill="`+grey+`"`, "breaker")
	s.Rect(right+12, middle+22, 28, 9, `fill="`+blue+`"`)
	s.Text(right+46, middle+31, `fill="`+ink+`"`, "breaker open")
}

func (p *Picture) drawMarks(s *svg.Document) {
	x := p.x()
	for _, mark := range p.Marks {
		at := x.At(mark.At.Seconds())
		s.Line(at, top-18, at, bottom, `stroke="`+ink+`" stroke-width="1.2"`)
		s.Text(at+5, top-8, `font-weight="bold" fill="`+ink+`"`, mark.Label)
	}
}
