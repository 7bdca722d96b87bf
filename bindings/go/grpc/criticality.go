package grpc

import (
	"context"

	"google.golang.org/grpc/metadata"

	"github.com/tidegate/tidegate/bindings/go"
)

// CriticalityKey is the metadata key that a call's criticality travels in. Its
// value is "critical", "default" or "sheddable"; any other counts as default.
const CriticalityKey = "tidegate-criticality"

type criticalityKey struct{}

// WithCriticality says how much the calls made under the context matter.
func WithCriticality(ctx context.Context, c tidegate.Criticality) context.Context {
	return context.WithValue(ctx, criticalityKey{}, c)
}

// CriticalityOf is what [WithCriticality], or the client of the call that is
// being served, said; the default without it.
func CriticalityOf(ctx context.Context) tidegate.Criticality {
	c, _ := ctx.Value(criticalityKey{}).(tidegate.Criticality)
	return c
}

// receive takes the criticality from the incoming metadata.
func (s *side) receive(ctx context.Context) context.Context {
	if s.options.DistrustCriticality {
		return ctx
	}
	values := metadata.ValueFromIncomingContext(ctx, CriticalityKey)
	if len(values) != 1 { // none, or none to be trusted more than the other
		return ctx
	}
	switch values[0] {
	case "critical":
		return WithCriticality(ctx, tidegate.Critical)
	case "sheddable":
		return WithCriticality(ctx, tidegate.Sheddable)
	}
	return ctx
}

// send puts the criticality into the outgoing metadata, unless the caller has
// put one there.
func send(ctx context.Context) context.Context {
	c, said := ctx.Value(criticalityKey{}).(tidegate.Criticality)
	outgoing, _ := metadata.FromOutgoingContext(ctx)
	if !said || len(outgoing.Get(CriticalityKey)) > 0 {
		return ctx
	}
	value := "default"
	switch c {
	case tidegate.Critical:
		value = "critical"
	case tidegate.Sheddable:
		value = "sheddable"
	}
	return metadata.AppendToOutgoingContext(ctx, CriticalityKey, value)
}
