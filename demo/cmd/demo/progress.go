package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/tidegate/tidegate/demo/report"
	"github.com/tidegate/tidegate/demo/tally"
)

// terminal shows a line that is redrawn, or, where nobody looks, a line from time to time.
type terminal struct {
	live bool
	open bool // a line stands that may be redrawn
}

func newTerminal() *terminal { return &terminal{live: columns() > 0} }

// columns is the terminal's width; 0 where standard output is none.
func columns() int {
	var size struct{ rows, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, os.Stdout.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0
	}
	return max(int(size.columns), 40)
}

func (t *terminal) every() time.Duration {
	if t.live {
		return 200 * time.Millisecond
	}
	return time.Second
}

func (t *terminal) redraw(line string) {
	if !t.live {
		fmt.Println(line)
		return
	}
	letters := []rune(line)
	fmt.Printf("\r\x1b[K%s", string(letters[:min(len(letters), columns()-1)]))
	t.open = true
}

// say prints a line that stays.
func (t *terminal) say(format string, values ...any) {
	t.finish()
	fmt.Printf(format+"\n", values...)
}

// finish leaves the last line as it stands.
func (t *terminal) finish() {
	if t.open {
		fmt.Println()
	}
	t.open = false
}

// watch shows the run until the load has ended; an error when it was cut off.
func (s *scene) watch(ctx context.Context, loaded <-chan struct{}) error {
	screen := newTerminal()
	defer screen.finish()
	screen.say("%s", s.title)
	tick := time.NewTicker(screen.every())
	defer tick.Stop()
	phase := ""
	for {
		select {
		case <-loaded:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.checkout.ended:
			return fmt.Errorf("checkout has ended")
		case <-s.payments.ended:
			return fmt.Errorf("payments has ended")
		case <-tick.C:
			now := time.Since(s.begin)
			if name := s.options.plan.At(now).Name; name != phase {
				screen.finish() // each phase leaves its last line
				phase = name
			}
			screen.redraw(s.status(now, phase))
		}
	}
}

// status is one line; all but the time and what is in flight are calls in the last second.
func (s *scene) status(now time.Duration, phase string) string {
	rates := s.tally.LastSecond(now)
	line := fmt.Sprintf("%5.1f s  %-9s  offered %3d  in time %3d", now.Seconds(), phase, rates.Offered, rates.InTime)
	if !s.guarded {
		return line + fmt.Sprintf("  late or failed %3d  waiting %3d", rates.Other, rates.Waiting)
	}
	state, err := stateOf(s.operators())
	if err != nil {
		state = report.State{Breaker: "?"}
	}
	return line + fmt.Sprintf("  breaker %-9s  in flight %2d  refused %s", state.Breaker, state.InFlight, byStage(rates))
}

func byStage(rates tally.Rates) string {
	var stages []string
	for stage, n := range rates.Stages {
		stages = append(stages, fmt.Sprintf("%s %d", stage, n))
	}
	if len(stages) == 0 {
		return "none"
	}
	slices.Sort(stages)
	return "by " + strings.Join(stages, ", ")
}
