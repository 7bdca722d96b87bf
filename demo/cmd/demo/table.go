package main

import (
	"fmt"
	"io"
	"time"

	"github.com/tidegate/tidegate/demo/load"
	"github.com/tidegate/tidegate/demo/plan"
	"github.com/tidegate/tidegate/demo/tally"
)

// table prints both runs side by side.
type table struct{ to io.Writer }

func (t table) row(what string, without, with any) {
	fmt.Fprintf(t.to, "  %-50s %17v %17v\n", what, without, with)
}

func (t table) print(p plan.Plan, without, with *result, raise, swap blame) {
	t.row("", "without", "with Tidegate")
	t.printCalls(p, without, with)
	t.printWhileSlow(p, without, with)
	from, total := p.Start("recovered"), p.Total()
	t.row("as good as before, after payments recovered", recovery(without.Calls, from, total), recovery(with.Calls, from, total))
	t.row("p50 / p99 of all calls", both(without.Figures.All), both(with.Figures.All))
	t.row("p50 / p99 of the answered", both(without.Figures.Answered), both(with.Figures.Answered))
	t.row("breaker opened / half-open / closed", "–", fmt.Sprintf("%d / %d / %d",
		with.State.Changes("open"), with.State.Changes("half_open"), with.State.Changes("closed")))
	t.row("permits in flight at the end", "–", with.State.InFlight)
	t.row("refused or lost because of the rule change", "–", raise.total())
	t.row("refused or lost because of the policy swap", "–", swap.total())
}

func (t table) printCalls(p plan.Plan, without, with *result) {
	a, b, servable := without.Figures, with.Figures, p.Servable(rate)
	t.row("calls offered", a.Offered, b.Offered)
	t.row(fmt.Sprintf("answered in time (within %s)", milliseconds(tally.InTimeLimit)), a.InTime, b.InTime)
	t.row(fmt.Sprintf("  of the %.0f that payments could answer", servable), percent(a.InTime, servable), percent(b.InTime, servable))
	t.row("answered late", a.Late, b.Late)
	t.row("failed (error, time-out, no answer)", a.Failed+a.NoAnswer, b.Failed+b.NoAnswer)
	t.row("refused", a.Refused, b.Refused)
	for _, stage := range []string{"breaker", "policy", "concurrency", "rate", "deadline"} {
		if n := b.Stages[stage]; n > 0 {
			t.row("  by "+stage, "", n)
		}
	}
}

// printWhileSlow shows who was served while there was room for some only.
func (t table) printWhileSlow(p plan.Plan, without, with *result) {
	from := p.Start("slow")
	one, two := slice(without.Calls, from, from+p[1].For), slice(with.Calls, from, from+p[1].For)
	for _, share := range load.Shares {
		a, b := one.Tiers[share.Tier], two.Tiers[share.Tier]
		t.row("in time while payments was slow: "+share.Tier+" tenants",
			percent(a.InTime, float64(a.Offered)), percent(b.InTime, float64(b.Offered)))
	}
}

// slice sums up the calls that were to be made from one time to another.
func slice(calls []tally.Call, from, to time.Duration) tally.Figures {
	var some []tally.Call
	for _, call := range calls {
		if call.At >= from && call.At < to {
			some = append(some, call)
		}
	}
	return tally.Sum(some)
}

// recovery is how long after payments recovered nine of ten calls were answered in time again, and stayed so.
func recovery(calls []tally.Call, from, total time.Duration) string {
	const width = 250 * time.Millisecond
	good := total
	windows := tally.Windows(calls, width, total)
	for i := len(windows) - 1; i >= 0 && windows[i].Goodput >= 0.9*windows[i].Offered; i-- {
		good = windows[i].From
	}
	if good == total {
		return "not yet"
	}
	return fmt.Sprintf("%.1f s", max(0, good-from).Seconds())
}

func percent(part int, whole float64) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/whole)
}

func both(l tally.Latency) string {
	return fmt.Sprintf("%s / %s", milliseconds(l.P50), milliseconds(l.P99))
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
}

// explain says what "because of" means, and what was seen.
func explain(to io.Writer, changes []change, raise, swap blame) {
	for _, c := range changes {
		b, meaning := raise, "A raised limit refuses nobody: more refusals after it than before would be its fault"
		if c.Name == policySwap {
			b, meaning = swap, "Both versions decide alike: calls left to on_fail, and refusals that neither gives, would be its fault"
		}
		fmt.Fprintf(to, "  %s: at %.1f s, in %s, with %d calls in flight; refused in the %s before and after: %d and %d.\n"+
			"    %s (%d). Unanswered calls: %d.\n", c.Name, c.Sent.Seconds(), milliseconds(c.Answered-c.Sent), b.InFlight,
			milliseconds(around), b.Before, b.After, meaning, b.Refused, b.Lost)
	}
}
