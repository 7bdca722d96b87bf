package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tidegate/tidegate/overload/load"
	"github.com/tidegate/tidegate/overload/protect"
	"github.com/tidegate/tidegate/overload/retry"
	"github.com/tidegate/tidegate/overload/tally"
)

// storm is what became of clients that retry, when the service stood still for a while.
type storm struct {
	Protection    string  `json:"protection"`
	Retries       string  `json:"retries"`
	Calls         int     `json:"calls"`
	Recovered     bool    `json:"recovered"`
	After         float64 `json:"recovered_after_s"` // the end of the outage
	Amplification float64 `json:"amplification"`     // attempts a call, of the calls since the outage began
	Goodput       float64 `json:"good_after_outage"` // share of the calls after it
	SentLate      float64 `json:"sent_late_p99_ms"`
	OnTime        bool    `json:"on_time"`
}

// stormy is a stand with clients that retry.
type stormy struct {
	*stand
	kind     retry.Kind
	policy   retry.Policy
	attempts atomic.Int64
	good     atomic.Int64
}

var errAgain = errors.New("not answered in time")

// call asks until it is answered, or the policy gives up.
func (s *stormy) call(ctx context.Context, a load.Arrival) (tally.End, int) {
	end, attempts := tally.Failed, 0
	_ = s.policy.Do(ctx, func() error {
		attempts++
		s.attempts.Add(1)
		end = s.client.AskWithin(ctx, s.Patience, a.Criticality)
		if end != tally.Good {
			return errAgain
		}
		s.good.Add(1)
		return nil
	})
	return end, attempts
}

// storms has each protection meet each kind of client. All run at once: they ask little of the machine.
func (e *experiment) storms(ctx context.Context, kinds []protect.Kind) error {
	var all []*stormy
	for _, protection := range kinds {
		for _, kind := range retry.Kinds() {
			s, err := e.stormy(protection, kind)
			if err != nil {
				return err
			}
			all = append(all, s)
		}
	}
	ended := make(chan int)
	begin := time.Now()
	results := make([][]tally.Call, len(all))
	for i, s := range all {
		go func() {
			results[i] = s.weather(ctx, begin)
			ended <- i
		}()
	}
	e.watch(all, begin, ended)
	return e.settle(ctx, all, results)
}

func (e *experiment) stormy(protection protect.Kind, kind retry.Kind) (*stormy, error) {
	policy, err := kind.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.Name, err)
	}
	s, err := e.stand(protection)
	if err != nil {
		return nil, errors.Join(err, policy.Close())
	}
	return &stormy{stand: s, kind: kind, policy: policy}, nil
}

// settle closes all stands and keeps what came out.
func (e *experiment) settle(ctx context.Context, all []*stormy, results [][]tally.Call) error {
	for i, s := range all {
		if err := errors.Join(s.close(ctx, &e.expectations), s.policy.Close()); err != nil {
			return err
		}
		e.Storms = append(e.Storms, e.stormOf(s, results[i]))
	}
	return nil
}

// weather makes the calls, and the outage.
func (s *stormy) weather(ctx context.Context, begin time.Time) []tally.Call {
	outage := time.AfterFunc(time.Until(begin.Add(s.Before)), func() { s.server.Outage(s.Outage) })
	defer outage.Stop()
	calls := load.Schedule(s.Seed, load.Stream{Rate: s.Usual * s.capacity(), To: s.Before + s.Outage + s.After})
	s.made = load.Run(ctx, calls, begin, s.CallFor, s.call)
	return s.made
}

// watch prints a line a second until all have ended.
func (e *experiment) watch(all []*stormy, begin time.Time, ended <-chan int) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	attempts, good := make([]int64, len(all)), make([]int64, len(all))
	for left := len(all); left > 0; {
		select {
		case <-ended:
			left--
		case <-tick.C:
			line := fmt.Sprintf("  %4.0f s %-12s", time.Since(begin).Seconds(), e.season(time.Since(begin)))
			for i, s := range all {
				a, g := s.attempts.Load(), s.good.Load()
				line += fmt.Sprintf(" %5d/%-4d", a-attempts[i], g-good[i])
				attempts[i], good[i] = a, g
			}
			fmt.Println(line)
		}
	}
}

func (e *experiment) season(at time.Duration) string {
	switch {
	case at < e.Before:
		return "before"
	case at < e.Before+e.Outage:
		return "standing still"
	}
	return "after"
}

func (e *experiment) stormOf(s *stormy, calls []tally.Call) storm {
	from, end := e.Before+e.Outage, e.Before+e.Outage+e.After
	all := tally.Sum(calls)
	since := tally.Sum(tally.Between(calls, e.Before, end))
	after := tally.Sum(tally.Between(calls, from, end))
	took, recovered := tally.Recovered(calls, from, end, back)
	return storm{
		Protection: s.name, Retries: s.kind.Name, Calls: len(calls), Recovered: recovered, After: took.Seconds(),
		Amplification: share(since.Attempts, since.Offered), Goodput: share(after.Good, after.Offered),
		SentLate: ms(all.SentLate), OnTime: all.SentLate <= e.OnTime,
	}
}

// back is the share of calls that has to be good again.
const back = 0.95

const stormTitle = "protection          retries               good again after   amplification   good of the calls after it   sent late"

func (s *storm) line() string {
	after := "not in the run"
	if s.Recovered {
		after = fmt.Sprintf("%.2f s", s.After)
	}
	return fmt.Sprintf("%-19s %-20s %17s %13.2f x %24.1f %%  %7.1f ms%s",
		s.Protection, s.Retries, after, s.Amplification, 100*s.Goodput, s.SentLate, mark(s.OnTime))
}
