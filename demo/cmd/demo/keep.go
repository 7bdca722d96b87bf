package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tidegate/tidegate/demo/load"
	"github.com/tidegate/tidegate/demo/tally"
)

const gentle = 50 // calls a second

// keepGoing leaves the services of a run up, under a gentle load, until the user has seen enough.
func keepGoing(ctx context.Context, s *scene) {
	fmt.Printf(`
Running on, with %d calls a second. Ctrl-C stops everything.
  checkout   process %d
    curl -i -X POST -H 'Tier: premium' %s/checkout
    curl %[4]s/metrics
    curl %[4]s/state
  payments   process %[5]d
    curl -X POST '%[6]s/phase?name=failing'     (or slow, healthy)
`, gentle, s.checkout.process.Pid, s.checkout.addresses["checkout"], s.operators(),
		s.payments.process.Pid, s.payments.addresses["payments"])
	for ctx.Err() == nil && s.checkout.lives() {
		calls := load.Schedule(gentle, time.Minute, uint64(time.Now().UnixNano()))
		load.Run(ctx, s.checkout.addresses["checkout"]+"/checkout", calls, time.Now(), &tally.Tally{})
	}
	if !s.checkout.lives() {
		fmt.Println("checkout has ended")
	}
}
