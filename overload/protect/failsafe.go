package protect

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/priority"
)

var (
	failsafe = Kind{"failsafe-go", "failsafe-go's adaptive limiter, its defaults", func() (Protection, error) {
		return &failsafeLimiter{limiter: adaptivelimiter.NewWithDefaults[any]()}, nil
	}}
	failsafeByPriority = Kind{"failsafe-go", "failsafe-go's priority limiter, its defaults", openFailsafeByPriority}
)

// calibrations are how often the priority limiter looks at its queue, as in failsafe-go's own examples.
const calibrations = 500 * time.Millisecond

type failsafeLimiter struct {
	limiter adaptivelimiter.AdaptiveLimiter[any]
}

func (f *failsafeLimiter) Enter(context.Context, Call) (func(bool), bool) {
	permit, ok := f.limiter.TryAcquirePermit()
	return leaving(permit), ok
}

func leaving(permit adaptivelimiter.Permit) func(bool) {
	return func(served bool) {
		if served {
			permit.Record()
		} else {
			permit.Drop()
		}
	}
}

func (*failsafeLimiter) Most() int    { return 0 }
func (*failsafeLimiter) Check() error { return nil }
func (*failsafeLimiter) Close() error { return nil }

// failsafePriorities has calls wait when the limit is reached, and refuses by priority.
type failsafePriorities struct {
	limiter adaptivelimiter.PriorityLimiter[any]
	stop    context.CancelFunc
}

func openFailsafeByPriority() (Protection, error) {
	prioritizer := adaptivelimiter.NewPrioritizer()
	limiter := adaptivelimiter.NewBuilder[any]().BuildPrioritized(prioritizer)
	return &failsafePriorities{limiter, prioritizer.ScheduleCalibrations(context.Background(), calibrations)}, nil
}

func (f *failsafePriorities) Enter(ctx context.Context, call Call) (func(bool), bool) {
	level := map[Criticality]priority.Priority{
		Critical: priority.VeryHigh, Default: priority.Medium, Sheddable: priority.Low,
	}[call.Criticality]
	permit, err := f.limiter.AcquirePermitWithPriority(ctx, level)
	return leaving(permit), err == nil
}

func (*failsafePriorities) Most() int    { return 0 }
func (*failsafePriorities) Check() error { return nil }

func (f *failsafePriorities) Close() error {
	f.stop()
	return nil
}
