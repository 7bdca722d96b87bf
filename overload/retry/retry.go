// Package retry has the ways in which clients try again, behind one interface.
package retry

import "context"

// Attempts are how often a client asks at most.
const Attempts = 3

// Policy tries again what failed. Its methods may be called by many goroutines at once.
type Policy interface {
	// Do makes attempts until one gives nil, or the policy gives up; it returns what the last one gave, or the
	// policy's own error.
	Do(ctx context.Context, attempt func() error) error
	// Close gives back what it holds, when nobody uses it any more.
	Close() error
}

// Kind is a policy that can be had. Each client of the service is one policy.
type Kind struct {
	Name  string
	About string // in a few words
	Open  func() (Policy, error)
}

// Kinds are all of them.
func Kinds() []Kind { return []Kind{plain, budgeted, own} }
