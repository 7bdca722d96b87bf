package tidegate

import "time"

// CallOption says something about one call through a [Guard]. Given to [Open],
// it holds for every call of the runtime; a call's own options come after it
// and win.
type CallOption struct {
	kind     callKind
	number   uint64
	name     string
	text     string
	classify Classifier
}

type callKind uint8

const (
	callCost callKind = iota + 1
	callKey
	callCriticality
	callAttribute
	callTimeLimit
	callFailClosed
	callClassifier
	callOnce
)

// Criticality says how much a call matters. When there is too little room,
// the least critical calls are refused first.
type Criticality uint32

// The criticalities.
const (
	DefaultCriticality Criticality = 0
	Critical           Criticality = 1
	Sheddable          Criticality = 2
)

// WithCost is how many units of a rate limit the call takes: bytes, rows,
// tokens. 1 without it, and 0 means 1.
func WithCost(units uint64) CallOption { return CallOption{kind: callCost, number: units} }

// WithKey is what limits by key look at, such as a tenant's name.
func WithKey(key string) CallOption { return CallOption{kind: callKey, text: key} }

// The levels within a criticality.
const (
	minLevel = 0
	maxLevel = 99
)

// WithCriticality says how much the call matters: where a concurrency limit
// sheds by criticality, the least critical calls are refused first. A level
// from 0 to 99 says how much it matters among those of its criticality; without
// one it is 99, and what is beyond counts as the nearest.
func WithCriticality(c Criticality, level ...int) CallOption {
	number := uint64(c)
	if len(level) > 0 {
		number |= uint64(min(max(level[0], minLevel), maxLevel)+1) << 32
	}
	return CallOption{kind: callCriticality, number: number}
}

// WithAttribute gives policies a fact about the call. Names are few and fixed,
// such as "method"; values may be anything. At most 16 a call and 1023 names:
// what is beyond is left out and counted in [Runtime.Faults].
func WithAttribute(name, value string) CallOption {
	return CallOption{kind: callAttribute, name: name, text: value}
}

// WithTimeLimit is how long the call may take, on the runtime's clock. The
// earliest of this, the context's deadline and the rules' timeout counts.
// A limit of zero or less leaves no time.
func WithTimeLimit(d time.Duration) CallOption {
	return CallOption{kind: callTimeLimit, number: nanoseconds(max(d, 1))}
}

// WithOnce says that the call must not be made twice: [Guard.Retry] tries again
// only what the guard itself refused, and [Guard.Hedge] sends no hedge.
func WithOnce() CallOption { return CallOption{kind: callOnce} }

// WithFailClosed makes a guard return the library's error where the library
// cannot answer, instead of letting the call pass.
func WithFailClosed() CallOption { return CallOption{kind: callFailClosed} }

// WithClassifier replaces [Classify] in judging how a call ended. A nil
// classifier changes nothing.
func WithClassifier(c Classifier) CallOption {
	return CallOption{kind: callClassifier, classify: c}
}

func (o CallOption) applyTo(c *config) {
	switch o.kind {
	case callFailClosed:
		c.failClosed = true
	case callClassifier:
		if o.classify != nil {
			c.classify = o.classify
		}
	default:
		c.defaults = append(c.defaults, o)
	}
}

// failsClosed says whether a library error stops the call.
func (rt *Runtime) failsClosed(opts []CallOption) bool {
	for i := range opts {
		if opts[i].kind == callFailClosed {
			return true
		}
	}
	return rt.failClosed
}

// classifier is the last one given, or the runtime's.
func (rt *Runtime) classifier(opts []CallOption) Classifier {
	for i := len(opts) - 1; i >= 0; i-- {
		if opts[i].kind == callClassifier && opts[i].classify != nil {
			return opts[i].classify
		}
	}
	return rt.classify
}
