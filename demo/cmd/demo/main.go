// Command demo shows a service without and with Tidegate while the service that it depends on turns slow, fails and
// recovers. See docs/demo.md; demo/run builds what it needs and starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/tidegate/tidegate/demo/load"
	"github.com/tidegate/tidegate/demo/plan"
)

const (
	rate = 500.0 // calls a second
	seed = 1
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	o := parse()
	n, err := demonstrate(ctx, o)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "demo: interrupted; everything is stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	case n > 0:
		os.Exit(1)
	}
}

func parse() *options {
	o := &options{plan: plan.Full()}
	short := flag.Bool("short", false, "the same in 15 seconds")
	flag.BoolVar(&o.keep, "keep", false, "leave the services running at the end")
	flag.StringVar(&o.programs, "programs", "", "folder of the programs checkout and payments")
	flag.StringVar(&o.policies, "policies", "target/policies", "folder of the built policies")
	flag.StringVar(&o.out, "out", "target/demo", "folder to write into")
	flag.Parse()
	if *short {
		o.plan = plan.Short()
	}
	return o
}

func (o *options) policy(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(o.policies, name+".wasm"))
}

// demonstrate does both runs and prints what they came to; n is how many expectations were not met.
func demonstrate(ctx context.Context, o *options) (n int, err error) {
	calls := load.Schedule(rate, o.plan.Total(), seed)
	first := &scene{options: o, calls: calls, title: "\nWithout Tidegate: its calls to payments have a timeout of 1 s (figures are calls a second)"}
	defer first.stop()
	without, err := first.play(ctx)
	if err != nil {
		return 0, err
	}
	first.stop()
	second := &scene{options: o, calls: calls, guarded: true, title: "\nWith Tidegate: the same timeout, a breaker, a policy, a concurrency and a rate limit"}
	defer second.stop()
	with, err := second.play(ctx)
	if err != nil {
		return 0, err
	}
	n, err = conclude(o, without, with)
	if o.keep && err == nil {
		keepGoing(ctx, second)
	}
	return n, err
}

// conclude prints the table and writes the files.
func conclude(o *options, without, with *result) (n int, err error) {
	if len(with.Changes) != 2 {
		return 0, fmt.Errorf("%d changes were made, not 2", len(with.Changes))
	}
	raise := blameForRaise(with.Calls, with.Changes[0])
	swap := blameForSwap(with.Calls, with.Changes[1], int(sumOf(string(with.Metrics), "tidegate_policy_failed_total")))
	metrics, drawn := filepath.Join(o.out, "metrics.txt"), filepath.Join(o.out, "checkout.svg")
	text, err := os.Create(filepath.Join(o.out, "table.txt"))
	if err != nil {
		return 0, err
	}
	defer text.Close()
	to := io.MultiWriter(os.Stdout, text)
	fmt.Fprintln(to)
	table{to}.print(o.plan, without, with, raise, swap)
	fmt.Fprintln(to)
	explain(to, with.Changes, raise, swap)
	verdict, clean := promtool(with.Metrics)
	fmt.Printf("\n  metrics  %s, promtool: %s\n  picture  %s\n", metrics, verdict, drawn)
	err = errors.Join(os.WriteFile(metrics, with.Metrics, 0o644), drawTo(drawn, o.plan, without, with))
	return unmet(expectations(without, with, raise, swap, verdict, clean)), err
}
