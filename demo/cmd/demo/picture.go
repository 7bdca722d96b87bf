package main

import (
	"fmt"
	"os"
	"time"

	"github.com/tidegate/tidegate/demo/chart"
	"github.com/tidegate/tidegate/demo/plan"
	"github.com/tidegate/tidegate/demo/report"
	"github.com/tidegate/tidegate/demo/tally"
)

// drawTo writes the picture of both runs.
func drawTo(path string, p plan.Plan, without, with *result) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return picture(p, without, with).Draw(file)
}

func picture(p plan.Plan, without, with *result) *chart.Picture {
	total, width := p.Total(), 500*time.Millisecond
	if total < 10*time.Second {
		width /= 2
	}
	drawn := &chart.Picture{
		Title: "checkout, while payments turns slow, fails and recovers",
		Subtitle: fmt.Sprintf("The same %d calls to both, at random moments, %.0f a second; windows of %g s by when a call was to be made.",
			len(with.Calls), rate, width.Seconds()),
		Total: total, Width: width, Limit: tally.InTimeLimit,
		Phases: phases(p), Open: openSpans(with.State.BreakerChanges, with.Begin, total),
		With: tally.Windows(with.Calls, width, total), Without: tally.Windows(without.Calls, width, total),
	}
	for _, c := range with.Changes {
		drawn.Marks = append(drawn.Marks, chart.Mark{At: c.Sent, Label: c.Name})
	}
	return drawn
}

func phases(p plan.Plan) (spans []chart.Span) {
	for _, phase := range p {
		from := p.Start(phase.Name)
		label := fmt.Sprintf("payments %s: %.0f/s", phase.Name, phase.Capacity())
		if phase.Fails {
			label = "payments " + phase.Name
		}
		spans = append(spans, chart.Span{From: from, To: from + phase.For, Label: label})
	}
	return spans
}

// openSpans are the times in which the breaker was open.
func openSpans(changes []report.Change, begin time.Time, total time.Duration) (spans []chart.Span) {
	for i, change := range changes {
		if change.To != "open" {
			continue
		}
		until := total
		if i+1 < len(changes) {
			until = changes[i+1].At.Sub(begin)
		}
		spans = append(spans, chart.Span{From: change.At.Sub(begin), To: until})
	}
	return spans
}
