package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tidegate/tidegate/overload/load"
	"github.com/tidegate/tidegate/overload/protect"
	"github.com/tidegate/tidegate/overload/tally"
)

// point is what a protection came to at one load.
type point struct {
	Protection string  `json:"protection"`
	Offered    float64 `json:"offered"` // of the capacity
	Goodput    float64 `json:"goodput"` // of the capacity
	Calls      int     `json:"calls"`
	Refused    float64 `json:"refused"` // this and the next two: of the calls
	Full       float64 `json:"full"`
	Late       float64 `json:"late"`
	P50        float64 `json:"p50_ms"` // of those within the deadline
	P99        float64 `json:"p99_ms"`
	Answered   float64 `json:"answered_p99_ms"` // of all that were answered
	SentLate   float64 `json:"sent_late_p99_ms"`
	OnTime     bool    `json:"on_time"`
	Cores      float64 `json:"cores"` // that load and service kept busy
}

// sweep has one protection go through all loads, the least first. It keeps what it learnt from one to the next, as in a
// service whose load rises; the start of each load is left out.
func (e *experiment) sweep(ctx context.Context, kind protect.Kind) error {
	s, err := e.stand(kind)
	if err != nil {
		return err
	}
	for _, factor := range e.Factors {
		if ctx.Err() != nil {
			break
		}
		p := e.measure(ctx, s, factor)
		for e.again(ctx, p.OnTime, p.SentLate) {
			p = e.measure(ctx, s, factor)
		}
		e.Points = append(e.Points, p)
		fmt.Println("  " + p.line())
	}
	return s.close(ctx, &e.expectations)
}

func (e *experiment) measure(ctx context.Context, s *stand, factor float64) point {
	calls := load.Schedule(e.Seed, load.Stream{Rate: factor * e.capacity(), To: e.Point})
	begun, used := time.Now(), cpu()
	p := e.pointOf(s.name, factor, s.run(ctx, calls))
	p.Cores = (cpu() - used).Seconds() / time.Since(begun).Seconds()
	return p
}

// again says whether to measure once more, as the machine was too busy to send the calls on time.
func (e *experiment) again(ctx context.Context, onTime bool, sentLate float64) bool {
	if onTime || e.Repeats == 0 || ctx.Err() != nil {
		return false
	}
	e.Repeats--
	fmt.Printf("  (the machine was busy: calls were sent %.0f ms late; once more)\n", sentLate)
	return true
}

func (e *experiment) pointOf(name string, factor float64, ends []tally.Call) point {
	f := tally.Sum(tally.Between(ends, e.Warm, e.Point))
	return point{
		Protection: name, Offered: factor, Calls: f.Offered,
		Goodput: tally.Goodput(ends, e.Warm, e.Point) / e.capacity(),
		Refused: share(f.Refused, f.Offered), Full: share(f.Full, f.Offered), Late: share(f.Late, f.Offered),
		P50: ms(f.P50), P99: ms(f.P99), Answered: ms(f.AnsweredP99), SentLate: ms(f.SentLate),
		OnTime: f.SentLate <= e.OnTime,
	}
}

const pointTitle = "protection          offered   goodput      p50      p99   refused   full   late   sent late  cores"

// line is the point as a row of the table.
func (p *point) line() string {
	return fmt.Sprintf("%-19s %5.1f x  %6.1f %%  %7s  %7s  %6.1f %% %4.0f %% %4.0f %%  %7.1f ms  %5.2f%s", p.Protection, p.Offered,
		100*p.Goodput, milliseconds(p.P50), milliseconds(p.P99), 100*p.Refused, 100*p.Full, 100*p.Late, p.SentLate, p.Cores, mark(p.OnTime))
}

// mark is what a row ends with whose calls were not sent on time.
func mark(onTime bool) string {
	if onTime {
		return ""
	}
	return "  *"
}

func share(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func milliseconds(value float64) string {
	if value == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f ms", value)
}
