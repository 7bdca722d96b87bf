package tidegate_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

// queued gives a queue before the guard "g" with room for one, on a clock that
// stands still: what happens without an Advance happens by exits alone.
func queued(t *testing.T, options tidegate.QueueOptions) (*tidegate.Queue, *tidegate.Runtime) {
	t.Helper()
	rt := openVirtual(t)
	return tidegate.NewQueue(guarded(t, rt, oneAtATime), options), rt
}

// enters asks in a goroutine of its own, and waits until n callers wait.
func enters(t *testing.T, q *tidegate.Queue, ctx context.Context, n int) <-chan entered {
	t.Helper()
	ended := make(chan entered, 1)
	go func() {
		permit, err := q.Enter(ctx)
		ended <- entered{permit, err}
	}()
	waitFor(t, q, n)
	return ended
}

type entered struct {
	permit tidegate.QueuePermit
	err    error
}

func waitFor(t *testing.T, q *tidegate.Queue, n int) {
	t.Helper()
	for q.Waiting() != n {
		runtime.Gosched()
	}
}

func TestQueueLetsTheNextInAtAnExit(t *testing.T) {
	q, _ := queued(t, tidegate.QueueOptions{})
	held, err := q.Enter(t.Context())
	must(t, err)
	first := enters(t, q, t.Context(), 1)
	second := enters(t, q, t.Context(), 2)
	must(t, held.Exit(tidegate.Success))
	one := <-first
	must(t, one.err)
	waitFor(t, q, 1)
	must(t, one.permit.Exit(tidegate.Success))
	two := <-second
	must(t, two.err)
	must(t, two.permit.Exit(tidegate.Success))
}

func TestWhoDoesNotWaitMakesWayForThoseWhoDo(t *testing.T) {
	q, _ := queued(t, tidegate.QueueOptions{})
	held, err := q.TryEnter(t.Context())
	must(t, err)
	_, err = q.TryEnter(t.Context())
	mustRefuse(t, err, tidegate.ErrRefusedConcurrency)
	first := enters(t, q, t.Context(), 1)
	second := enters(t, q, t.Context(), 2)
	must(t, held.Exit(tidegate.Success))
	one := <-first
	must(t, one.err)
	must(t, one.permit.Exit(tidegate.Success))
	two := <-second
	must(t, two.err)
	waiting := enters(t, q, t.Context(), 1)
	_, err = q.TryEnter(t.Context())
	mustRefuse(t, err, tidegate.ErrRefusedConcurrency)
	must(t, two.permit.Exit(tidegate.Success))
	three := <-waiting
	must(t, three.err)
	must(t, three.permit.Exit(tidegate.Success))
}

func TestQueueRefusesWhoHasWaitedTheLongestWait(t *testing.T) {
	q, rt := queued(t, tidegate.QueueOptions{Poll: time.Hour})
	held, err := q.Enter(t.Context())
	must(t, err)
	late := enters(t, q, t.Context(), 1)
	must(t, rt.Clock().BlockUntilWaiting(t.Context(), 2)) // the poll waits too
	must(t, rt.Clock().Advance(100*time.Millisecond))
	mustRefuse(t, (<-late).err, tidegate.ErrRefusedConcurrency)
	must(t, held.Exit(tidegate.Success))
	if q.Waiting() != 0 {
		t.Fatal(q.Waiting())
	}
}

func TestQueueUnderOverloadLetsTheNewestIn(t *testing.T) {
	q, rt := queued(t, tidegate.QueueOptions{Poll: time.Hour})
	held, err := q.Enter(t.Context())
	must(t, err)
	_ = enters(t, q, t.Context(), 1)
	must(t, rt.Clock().BlockUntilWaiting(t.Context(), 2))
	must(t, rt.Clock().Advance(60*time.Millisecond))
	old := enters(t, q, t.Context(), 2)
	must(t, rt.Clock().BlockUntilWaiting(t.Context(), 3))
	must(t, rt.Clock().Advance(39*time.Millisecond))
	middle := enters(t, q, t.Context(), 3)
	must(t, rt.Clock().BlockUntilWaiting(t.Context(), 4))
	must(t, rt.Clock().Advance(2*time.Millisecond)) // the first one's time is up
	waitFor(t, q, 2)
	newest := enters(t, q, t.Context(), 3)
	must(t, held.Exit(tidegate.Success))
	in := <-newest
	must(t, in.err)
	must(t, in.permit.Exit(tidegate.Success))
	in = <-middle
	must(t, in.err)
	must(t, in.permit.Exit(tidegate.Success))
	in = <-old
	must(t, in.err)
	must(t, in.permit.Exit(tidegate.Success))
}

func TestQueueFindsPlacesThatOthersFreed(t *testing.T) {
	q, rt := queued(t, tidegate.QueueOptions{})
	held, err := guard(t, rt, "g").Enter(t.Context()) // not through the queue
	must(t, err)
	waits := enters(t, q, t.Context(), 1)
	must(t, held.Exit(tidegate.Success))
	must(t, rt.Clock().BlockUntilWaiting(t.Context(), 2))
	must(t, rt.Clock().Advance(10*time.Millisecond))
	in := <-waits
	must(t, in.err)
	must(t, in.permit.Exit(tidegate.Success))
}

func TestCallerWhoLeavesTheQueueIsNotLetIn(t *testing.T) {
	q, _ := queued(t, tidegate.QueueOptions{})
	held, err := q.Enter(t.Context())
	must(t, err)
	ctx, leave := context.WithCancel(t.Context())
	gone := enters(t, q, ctx, 1)
	stays := enters(t, q, t.Context(), 2)
	leave()
	mustBe(t, (<-gone).err, context.Canceled)
	must(t, held.Exit(tidegate.Success))
	in := <-stays
	must(t, in.err)
	must(t, in.permit.Exit(tidegate.Success))
}

func TestQueueDoesNotWaitForOtherStages(t *testing.T) {
	rt := openVirtual(t)
	q := tidegate.NewQueue(guarded(t, rt, `{"rate": [{"limit": 1, "per": "1s", "burst": 1}]}`), tidegate.QueueOptions{})
	must(t, q.Do(t.Context(), succeed))
	mustRefuse(t, q.Do(t.Context(), succeed), tidegate.ErrRefusedRate)
}

func TestRefusalByAnotherStageInTheQueuePassesTheTurnOn(t *testing.T) {
	rt := openVirtual(t)
	q := tidegate.NewQueue(guarded(t, rt,
		`{"concurrency": {"max": 1}, "rate": [{"limit": 1, "per": "1h", "burst": 1}]}`), tidegate.QueueOptions{})
	held, err := q.Enter(t.Context())
	must(t, err)
	first, second := enters(t, q, t.Context(), 1), enters(t, q, t.Context(), 2)
	must(t, held.Exit(tidegate.Success))
	mustRefuse(t, (<-first).err, tidegate.ErrRefusedRate)
	mustRefuse(t, (<-second).err, tidegate.ErrRefusedRate)
}

func TestQueueDoClassifiesAndLetsPanicsGoOn(t *testing.T) {
	q, rt := queued(t, tidegate.QueueOptions{})
	mustBe(t, q.Do(t.Context(), fail), errBackend)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = q.Do(t.Context(), func(context.Context) error { panic("no") })
	}()
	if s := stats(t, guard(t, rt, "g")); s.Calls[tidegate.Failure] != 2 || s.InFlight != 0 {
		t.Fatalf("%+v", s)
	}
}

// With the clock standing still nobody's time is up and nobody polls: if one
// exit were lost, its caller would wait for ever.
func TestQueueUnderAStormLetsEveryoneInOnce(t *testing.T) {
	rt := openVirtual(t)
	q := tidegate.NewQueue(guarded(t, rt, `{"concurrency": {"max": 3}}`), tidegate.QueueOptions{})
	var (
		inside, served atomic.Int64
		callers        group
	)
	for range 32 {
		callers.Go(func() {
			for range 100 {
				err := q.Do(t.Context(), func(context.Context) error {
					defer inside.Add(-1)
					if inside.Add(1) > 3 {
						t.Error("more than the limit")
					}
					runtime.Gosched()
					served.Add(1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if s := stats(t, guard(t, rt, "g")); served.Load() != 3200 || s.InFlight != 0 || s.Calls[tidegate.Success] != 3200 || q.Waiting() != 0 {
		t.Fatalf("%d served, %+v", served.Load(), s)
	}
}

func TestQueueUnderAStormOfLeaversLosesNoTurn(t *testing.T) {
	q, rt := queued(t, tidegate.QueueOptions{})
	var callers group
	for i := range 32 {
		callers.Go(func() {
			for range 100 {
				ctx, leave := context.WithCancel(t.Context())
				if i%2 == 0 {
					go leave()
				}
				err := q.Do(ctx, func(context.Context) error { runtime.Gosched(); return nil })
				if leave(); err != nil && (i%2 == 1 || !errors.Is(err, context.Canceled)) {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if s := stats(t, guard(t, rt, "g")); s.InFlight != 0 || q.Waiting() != 0 {
		t.Fatalf("%+v, %d waiting", s, q.Waiting())
	}
}
