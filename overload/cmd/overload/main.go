// Command overload shows what a service does when more is asked of it than it can do, without and with protections. See
// docs/overload.md; overload/run builds what it needs and starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/tidegate/tidegate/overload/protect"
)

// experiment is what was asked for, and what came out.
type experiment struct {
	settings
	expectations
	Points     []point
	Priorities []priority
	Storms     []storm
	Skipped    []string

	only, protections, out, docs string
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	err := parse().run(ctx)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "overload: interrupted; everything is stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
}

func parse() *experiment {
	e := &experiment{settings: full()}
	brief := flag.Bool("short", false, "the same in 20 seconds: shows that it works, measures nothing")
	times := flag.String("service", e.Times, "service times: exponential or fixed")
	seed := flag.Uint64("seed", e.Seed, "of arrivals and service times")
	flag.StringVar(&e.only, "only", "", "experiments, separated by commas: sweep, priorities, storm (all if empty)")
	flag.StringVar(&e.protections, "protections", "", "protections, separated by commas (all if empty)")
	flag.StringVar(&e.out, "out", "target/overload", "folder to write into")
	flag.StringVar(&e.docs, "write-docs", "", "folder of the page that the tables are put into, with the picture beside it")
	flag.Parse()
	if *brief {
		e.settings = short()
	}
	e.Times, e.Seed = *times, *seed
	return e
}

func (e *experiment) wants(name string) bool {
	return e.only == "" || slices.Contains(strings.Split(e.only, ","), name)
}

func (e *experiment) run(ctx context.Context) error {
	if err := os.MkdirAll(e.out, 0o755); err != nil {
		return err
	}
	kinds, byCriticality := e.kinds()
	if len(kinds) == 0 {
		return fmt.Errorf("no such protections: %s", e.protections)
	}
	fmt.Printf("The service: %d workers, %s a call (%s), so %g calls/s; %d may wait; an answer is good within %s.\n",
		e.Workers, e.Mean, e.Times, e.capacity(), e.Queue, e.Deadline)
	if err := e.runEach(ctx, "sweep", "The load rises", pointTitle, kinds, e.sweep); err != nil {
		return err
	}
	about := fmt.Sprintf("Critical calls at %g x, a spike of sheddable ones at %g x", e.Critical, e.Spike)
	if err := e.runEach(ctx, "priorities", about, priorityTitle, byCriticality, e.priorities); err != nil {
		return err
	}
	if err := e.runStorms(ctx, kinds); err != nil {
		return err
	}
	return e.conclude()
}

// kinds are the protections that were asked for and that the library has. It says which it lacks.
func (e *experiment) kinds() (kinds, byCriticality []protect.Kind) {
	lacks := func(k protect.Kind) bool {
		protection, err := k.Open()
		if err == nil {
			_ = protection.Close()
		}
		return errors.Is(err, protect.ErrLacks) && e.skip(k.Name, err)
	}
	kinds = slices.DeleteFunc(protect.Pick(protect.Kinds(), e.protections), lacks)
	byCriticality = slices.DeleteFunc(protect.Pick(protect.ByCriticality(), e.protections), func(k protect.Kind) bool {
		return slices.ContainsFunc(e.Skipped, func(line string) bool { return strings.HasPrefix(line, k.Name+":") })
	})
	return kinds, byCriticality
}

func (e *experiment) skip(name string, err error) bool {
	line := fmt.Sprintf("%s: skipped: %v", name, err)
	e.Skipped = append(e.Skipped, line)
	fmt.Println(line)
	return true
}

// runEach has one protection after the other go through an experiment.
func (e *experiment) runEach(ctx context.Context, name, about, title string, kinds []protect.Kind,
	experiment func(context.Context, protect.Kind) error) error {
	if !e.wants(name) {
		return nil
	}
	fmt.Printf("\n%s\n  %s\n", about, title)
	for _, kind := range kinds {
		if err := errors.Join(experiment(ctx, kind), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// runStorms has the service without a protection, and that with Tidegate's plainest, meet a storm of retries.
func (e *experiment) runStorms(ctx context.Context, kinds []protect.Kind) error {
	if !e.wants("storm") {
		return nil
	}
	fmt.Printf("\nThe service stands still for %s; clients ask %g x, up to three times (attempts/good answers, a second)\n",
		e.Outage, e.Usual)
	picked := protect.Pick(slices.Clone(kinds), "none,tidegate-fixed")
	if err := errors.Join(e.storms(ctx, picked), ctx.Err()); err != nil {
		return err
	}
	return nil
}

// conclude prints the tables and writes the files.
func (e *experiment) conclude() error {
	tables := e.tables()
	fmt.Printf("\n%s", tables)
	summary, drawn := filepath.Join(e.out, "summary.json"), filepath.Join(e.out, "overload.svg")
	if err := errors.Join(e.write(summary), e.drawTo(drawn)); err != nil {
		return err
	}
	fmt.Printf("\n  figures  %s\n  picture  %s\n", summary, drawn)
	if e.docs != "" {
		if err := e.writeDocs(tables); err != nil {
			return err
		}
	}
	return e.end()
}
