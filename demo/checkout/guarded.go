package main

import (
	"errors"

	"github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/demo/serve"
)

// runGuarded is the service with Tidegate: what it serves is guarded too, though only to be counted and timed.
func runGuarded(client *payments, listen, operators string) error {
	gate, err := tidegate.Open()
	if err != nil {
		return err
	}
	defer gate.Close()
	if gate.PassThrough() || !tidegate.HasPolicies() {
		return errors.New("built without libtidegate, or with one that has no policies")
	}
	guard, err := gate.Guard("payments.charge")
	if err != nil {
		return err
	}
	watch := watchBreaker(guard)
	defer watch.stop()
	handler := gate.Middleware("checkout.serve")(checkout(guarded(client, guard)))
	return serve.Run(
		serve.Site{Name: "checkout", Listen: listen, Handler: handler},
		serve.Site{Name: "operators", Listen: operators, Handler: forOperators(gate, guard, watch)},
	)
}
