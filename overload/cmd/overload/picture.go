package main

import (
	"fmt"
	"os"

	"github.com/tidegate/tidegate/overload/chart"
)

// drawTo draws the sweep; nothing where there was none.
func (e *experiment) drawTo(path string) error {
	if len(e.Points) == 0 {
		return nil
	}
	p := chart.Picture{
		Title: "Goodput and p99 under overload",
		Subtitle: fmt.Sprintf("%d workers, %s a call (%s): %g calls/s; %d may wait; good: answered within %s",
			e.Workers, e.Mean, e.Times, e.capacity(), e.Queue, e.Deadline),
		Deadline: ms(e.Deadline),
	}
	for _, point := range e.Points {
		line := p.Line(point.Protection)
		line.Values = append(line.Values, chart.Value{Offered: point.Offered, Goodput: 100 * point.Goodput, P99: point.Answered})
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := p.Draw(file); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
