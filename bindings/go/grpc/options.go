package grpc

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"

	"github.com/tidegate/tidegate/bindings/go"
)

// Options change what the interceptors do. The zero value is right for most.
type Options struct {
	// Guard names the guard for a method, such as "/shop.Cart/Add", in place of
	// the names that the package's doc gives; "" leaves the method unguarded.
	// Names should be few.
	Guard func(fullMethod string) string
	// Call gives the guard what it should know of a call: its key, cost or
	// attributes. On a server, ctx holds the incoming metadata.
	Call func(ctx context.Context, fullMethod string) []tidegate.CallOption
	// Classify replaces Classify of this package. ctx is the caller's.
	Classify tidegate.Classifier
	// Idempotent says which methods a client may call again after a call that
	// may have reached the server; nil: none. Servers have no use for it.
	Idempotent func(fullMethod string) bool
	// SafeCodes are those that the server answers with before it has done
	// anything: a client calls any method again after them. None is so in
	// general, for Unavailable is also what a connection gives that broke midway.
	SafeCodes []codes.Code
	// DistrustCriticality makes a server ignore what its clients say of their
	// calls' criticality: for servers that face strangers.
	DistrustCriticality bool
}

// maxMethods bounds the guards that methods are given. A client may ask a
// server with an unknown-service handler for any method, as often as it likes.
const maxMethods = 1000

// maxGuardName is the longest name that a guard may have.
const maxGuardName = 128

// side is what one interceptor knows.
type side struct {
	rt      *tidegate.Runtime
	options Options
	names   methodNames
}

func newSide(rt *tidegate.Runtime, prefix string, options []Options) *side {
	s := &side{rt: rt, names: methodNames{prefix: prefix}}
	if len(options) > 0 {
		s.options = options[0]
	}
	if s.options.Classify == nil {
		s.options.Classify = Classify
	}
	return s
}

// enter asks the method's guard; the error is a gRPC one.
func (s *side) enter(ctx context.Context, method string, call *call) error {
	name := s.guard(method)
	call.classify, call.caller = s.options.Classify, ctx
	if name == "" {
		return nil
	}
	return s.enterGuard(name, s.about(ctx, method), call)
}

func (s *side) enterGuard(name string, opts []tidegate.CallOption, call *call) (err error) {
	if call.permit, err = s.rt.Enter(call.caller, name, opts...); err != nil {
		return Refusal(err)
	}
	return nil
}

// about is what the guard is told of a call.
func (s *side) about(ctx context.Context, method string) (opts []tidegate.CallOption) {
	if criticality := CriticalityOf(ctx); criticality != tidegate.DefaultCriticality {
		opts = append(opts, tidegate.WithCriticality(criticality))
	}
	if s.options.Call != nil {
		opts = append(opts, s.options.Call(ctx, method)...)
	}
	return opts
}

func (s *side) guard(method string) string {
	if s.options.Guard != nil {
		return s.options.Guard(method)
	}
	return s.names.of(method)
}

// methodNames are the guards' names of methods, made once for each.
type methodNames struct {
	prefix string
	mu     sync.RWMutex
	known  map[string]string
}

func (n *methodNames) of(method string) string {
	n.mu.RLock()
	name, ok := n.known[method]
	n.mu.RUnlock()
	if ok {
		return name
	}
	return n.add(method)
}

// add names a method; those beyond the bound, and those too long for a name,
// share one guard.
func (n *methodNames) add(method string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.prefix + strings.TrimPrefix(method, "/")
	if len(n.known) >= maxMethods || len(name) > maxGuardName {
		return n.prefix + "other"
	}
	if n.known == nil {
		n.known = make(map[string]string)
	}
	n.known[method] = name
	return name
}
