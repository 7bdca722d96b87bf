// Package protect has the protections that stand between a server's callers and its queue, behind one interface.
package protect

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Criticality says how much a call matters; the zero value is the default.
type Criticality string

// The criticalities that calls here have.
const (
	Default   Criticality = ""
	Critical  Criticality = "critical"
	Sheddable Criticality = "sheddable"
)

// Call is what a protection knows about a call.
type Call struct{ Criticality Criticality }

// Protection decides which calls get in. Its methods may be called by many goroutines at once; Close once, when no call
// is in.
type Protection interface {
	// Enter asks for a call. When ok, leave is called once at the end; served is false where the server found that it
	// has no room for the call.
	Enter(ctx context.Context, call Call) (leave func(served bool), ok bool)
	// Most is how many calls it promises to have in at once at most; 0: it promises none.
	Most() int
	// Check says, when no call is in, what the protection finds wrong with itself.
	Check() error
	Close() error
}

// Kind is a protection that can be had.
type Kind struct {
	Name  string
	About string // in a few words
	Open  func() (Protection, error)
}

// ErrLacks is what Open gives where the library does not have what the kind needs.
var ErrLacks = errors.New("the library lacks it")

// Kinds are those for calls that all matter alike.
func Kinds() []Kind {
	return slices.Concat([]Kind{none}, tidegates(), []Kind{failsafe, kratos})
}

// ByCriticality are those for calls that do not: a peer that has a protection of its own for them is asked for that.
func ByCriticality() []Kind {
	return slices.Concat([]Kind{none}, tidegates(), []Kind{failsafeByPriority, kratos})
}

// Pick keeps those that are named, separated by commas; all where names is empty.
func Pick(kinds []Kind, names string) []Kind {
	if names == "" {
		return kinds
	}
	wanted := strings.Split(names, ",")
	return slices.DeleteFunc(kinds, func(k Kind) bool { return !slices.Contains(wanted, k.Name) })
}
