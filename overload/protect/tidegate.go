package protect

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// One rules document for each algorithm of the stage `concurrency`, of the same name.
//
//go:embed rules/*.json
var documents embed.FS

const guardName = "service"

// tidegates has a kind for each document. Whether the library has the algorithm it says when it is opened.
func tidegates() (kinds []Kind) {
	for _, algorithm := range []string{"fixed", "aimd", "vegas", "gradient2"} {
		kinds = append(kinds, Kind{
			"tidegate-" + algorithm, "Tidegate, concurrency by the algorithm " + algorithm,
			func() (Protection, error) { return openTidegate(algorithm) },
		})
	}
	return kinds
}

// guarded lets critical calls wait for a place, as long as the queue's defaults say; others make way for them.
type guarded struct {
	runtime *tidegate.Runtime
	guard   *tidegate.Guard
	queue   *tidegate.Queue
	most    int
}

func openTidegate(algorithm string) (Protection, error) {
	document, err := documents.ReadFile("rules/" + algorithm + ".json")
	if err != nil {
		return nil, err
	}
	if err := has(document); err != nil {
		return nil, err
	}
	runtime, err := tidegate.Open(tidegate.WithFailClosed())
	if err != nil {
		return nil, err
	}
	if err := runtime.ApplyRules(document); err != nil {
		return nil, errors.Join(err, runtime.Close())
	}
	guard, err := runtime.Guard(guardName)
	if err != nil {
		return nil, errors.Join(err, runtime.Close())
	}
	return newGuarded(runtime, guard, algorithm)
}

func newGuarded(runtime *tidegate.Runtime, guard *tidegate.Guard, algorithm string) (*guarded, error) {
	g := &guarded{runtime: runtime, guard: guard, queue: tidegate.NewQueue(guard, tidegate.QueueOptions{})}
	if algorithm == "fixed" {
		stats, err := guard.Stats()
		if err != nil {
			return nil, errors.Join(err, runtime.Close())
		}
		g.most = int(stats.Limit)
	}
	return g, nil
}

// has asks the library whether it can do what a document says: ErrLacks where it does not know the algorithm. Any other
// fault is the document's.
func has(document []byte) error {
	if !tidegate.Available() {
		return fmt.Errorf("%w: this program was built without it", ErrLacks)
	}
	err := tidegate.CheckRules(document)
	var wrong *tidegate.RulesError
	if !errors.As(err, &wrong) {
		return err
	}
	for _, problem := range wrong.Problems {
		if strings.HasSuffix(problem.Path, ".concurrency.algorithm") {
			return fmt.Errorf("%w: %s", ErrLacks, problem.Message)
		}
	}
	return err
}

func (g *guarded) Enter(ctx context.Context, call Call) (func(bool), bool) {
	enter := g.queue.TryEnter
	if call.Criticality == Critical {
		enter = g.queue.Enter
	}
	permit, err := enter(ctx, tidegate.WithCriticality(criticality(call)))
	if err != nil {
		return nil, false
	}
	return func(served bool) {
		outcome := tidegate.Success
		if !served {
			outcome = tidegate.Overloaded
		}
		_ = permit.Exit(outcome)
	}, true
}

func criticality(call Call) tidegate.Criticality {
	switch call.Criticality {
	case Critical:
		return tidegate.Critical
	case Sheddable:
		return tidegate.Sheddable
	}
	return tidegate.DefaultCriticality
}

func (g *guarded) Most() int { return g.most }

func (g *guarded) Check() error {
	stats, err := g.guard.Stats()
	if err != nil {
		return err
	}
	if faults := g.runtime.Faults(); len(faults) > 0 || stats.InFlight > 0 || stats.MisusedExits > 0 {
		return fmt.Errorf("faults %v, %d permits held, %d exits misused", faults, stats.InFlight, stats.MisusedExits)
	}
	return nil
}

func (g *guarded) Close() error { return g.runtime.Close() }
