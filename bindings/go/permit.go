package tidegate

import (
	"context"
	"runtime"
	"time"
)

// Permit is the right to make one call, from [Guard.Enter]; [Permit.Exit]
// gives it back. It belongs to one goroutine at a time and must not be copied
// once it was used: the copy would be exited twice.
type Permit struct {
	entry entry
	guard *Guard
	state permitState
}

type permitState uint8

const (
	permitEmpty  permitState = iota // never entered
	permitHeld                      // the library holds something for us
	permitPassed                    // let pass without the library
)

// Exit gives the permit back and says how the call ended. Errors need no
// answer and tell of misuse: [ErrNotHeld] for a permit never entered or exited
// before, [ErrExpired] where the rules' max_hold had taken it back already.
func (p *Permit) Exit(outcome Outcome) error {
	switch p.state {
	case permitPassed:
		return nil
	case permitEmpty:
		return ErrNotHeld
	}
	status := libExit(&p.entry, outcome)
	runtime.KeepAlive(p.guard)
	if status != statusOK {
		return status
	}
	return nil
}

// Guarded says whether the library knows of this call. It is false where the
// call passed because the library could not answer or is not there.
func (p *Permit) Guarded() bool { return available && p.state == permitHeld }

// Route is where a policy wants the call to go; 0 is the usual way.
func (p *Permit) Route() uint32 {
	if p.state != permitHeld {
		return 0
	}
	return libPermitRoute(&p.entry)
}

// TimeLeft is how much time the call had when it was let in, by the earliest
// of the context's deadline, [WithTimeLimit] and the rules' timeout. ok is
// false when there is no limit.
func (p *Permit) TimeLeft() (left time.Duration, ok bool) {
	if p.state != permitHeld || p.entry.deadline == 0 {
		return 0, false
	}
	return saturate(p.entry.deadline - min(p.entry.now, p.entry.deadline)), true
}

// Context derives the call's context from the caller's: it ends at the
// permit's deadline, where that is earlier than parent's own. Call cancel when
// the call has ended.
func (p *Permit) Context(parent context.Context) (ctx context.Context, cancel context.CancelFunc) {
	if !p.shortens() {
		return parent, func() {}
	}
	if p.guard.rt.clock.virtual {
		return p.guard.rt.clock.withDeadline(parent, p.entry.deadline)
	}
	left, _ := p.TimeLeft()
	return context.WithTimeout(parent, left)
}

// shortens says whether the permit's deadline is earlier than that of the
// context it was entered with.
func (p *Permit) shortens() bool {
	e := &p.entry
	return p.state == permitHeld && e.deadline != 0 && (e.caller == 0 || e.deadline < e.caller)
}
