package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/tidegate/tidegate/bindings/go"
)

// charger makes one payment for a tenant of this tier.
type charger func(ctx context.Context, tier string) error

// plain is the call without Tidegate: a timeout, and nothing else.
func plain(p *payments) charger {
	return func(ctx context.Context, _ string) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return p.charge(ctx)
	}
}

// guarded is the call with Tidegate; the timeout stands in the rules.
func guarded(p *payments, guard *tidegate.Guard) charger {
	return func(ctx context.Context, tier string) error {
		return guard.Do(ctx, p.charge, tidegate.WithAttribute("tier", tier))
	}
}

func checkout(charge charger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, r *http.Request) {
		answer(w, charge(r.Context(), r.Header.Get("Tier")))
	})
	return mux
}

// answer says how the order ended. A refusal names its stage, so that the load can count.
func answer(w http.ResponseWriter, err error) {
	var refused *tidegate.RefusedError
	switch {
	case err == nil:
		fmt.Fprintln(w, "paid")
	case errors.As(err, &refused):
		w.Header().Set("Refused-By", refused.Stage.String())
		w.Header().Set("Refused-Reason", strconv.FormatUint(uint64(refused.Reason), 10))
		tidegate.WriteRefusal(w, err)
	case errors.Is(err, context.DeadlineExceeded):
		http.Error(w, "payments takes too long", http.StatusGatewayTimeout)
	default:
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}
