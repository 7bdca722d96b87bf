package main

import (
	"context"
	"fmt"

	"github.com/tidegate/tidegate/overload/load"
	"github.com/tidegate/tidegate/overload/protect"
	"github.com/tidegate/tidegate/overload/tally"
)

// priority is what became of critical calls while sheddable ones came in a spike.
type priority struct {
	Protection string  `json:"protection"`
	Calls      int     `json:"critical_calls_in_spike"`
	Spike      float64 `json:"critical_served_in_spike"` // shares of the critical calls, answered within the deadline
	Late       float64 `json:"critical_late_in_spike"`
	Refused    float64 `json:"critical_refused_in_spike"` // by the protection or by the full queue
	Outside    float64 `json:"critical_served_outside"`
	Goodput    float64 `json:"goodput_in_spike"` // of all, of the capacity
	SentLate   float64 `json:"sent_late_p99_ms"`
	OnTime     bool    `json:"on_time"`
	P99        float64 `json:"critical_p99_ms"` // in the spike, of those within the deadline
}

// priorities has critical calls come steadily, and sheddable ones in the middle third.
func (e *experiment) priorities(ctx context.Context, kind protect.Kind) error {
	p, err := e.spike(ctx, kind)
	for err == nil && e.again(ctx, p.OnTime, p.SentLate) {
		p, err = e.spike(ctx, kind)
	}
	if err == nil {
		e.Priorities = append(e.Priorities, p)
		fmt.Println("  " + p.line())
	}
	return err
}

func (e *experiment) spike(ctx context.Context, kind protect.Kind) (priority, error) {
	s, err := e.stand(kind)
	if err != nil {
		return priority{}, err
	}
	from, to, end := e.Third, 2*e.Third, 3*e.Third
	ends := s.run(ctx, load.Schedule(e.Seed,
		load.Stream{Rate: e.Critical * e.capacity(), To: end, Criticality: protect.Critical},
		load.Stream{Rate: e.Spike * e.capacity(), From: from, To: to, Criticality: protect.Sheddable}))
	during := tally.Between(ends, from, to)
	critical := tally.Sum(tally.Of(during, protect.Critical))
	all := tally.Sum(tally.Of(ends, protect.Critical))
	sentLate := tally.Sum(during).SentLate
	p := priority{
		SentLate: ms(sentLate), OnTime: sentLate <= e.OnTime,
		Protection: kind.Name, Calls: critical.Offered, Spike: share(critical.Good, critical.Offered),
		Late: share(critical.Late, critical.Offered), Refused: share(critical.Refused+critical.Full, critical.Offered),
		Outside: share(all.Good-critical.Good, all.Offered-critical.Offered), P99: ms(critical.P99),
		Goodput: tally.Goodput(ends, from, to) / e.capacity(),
	}
	return p, s.close(ctx, &e.expectations)
}

const priorityTitle = "protection          critical served: in the spike   before and after     p99   goodput in the spike   sent late"

func (p *priority) line() string {
	return fmt.Sprintf("%-19s %28.1f %% %16.1f %%  %8s  %18.1f %%  %7.1f ms%s",
		p.Protection, 100*p.Spike, 100*p.Outside, milliseconds(p.P99), 100*p.Goodput, p.SentLate, mark(p.OnTime))
}
