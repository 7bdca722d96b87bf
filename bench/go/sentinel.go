package main

import (
	"github.com/alibaba/sentinel-golang/api"
	"github.com/alibaba/sentinel-golang/core/base"
	"github.com/alibaba/sentinel-golang/core/circuitbreaker"
	"github.com/alibaba/sentinel-golang/core/config"
	"github.com/alibaba/sentinel-golang/core/flow"
	"github.com/alibaba/sentinel-golang/core/hotspot"
	"github.com/alibaba/sentinel-golang/core/isolation"
	"github.com/alibaba/sentinel-golang/core/system"
	"github.com/alibaba/sentinel-golang/logging"
)

const resource = "payments.charge"

// silent is a logger that does nothing: logging is not what is compared.
type silent struct{}

func (silent) Debug(string, ...any)        {}
func (silent) DebugEnabled() bool          { return false }
func (silent) Info(string, ...any)         {}
func (silent) InfoEnabled() bool           { return false }
func (silent) Warn(string, ...any)         {}
func (silent) WarnEnabled() bool           { return false }
func (silent) Error(error, string, ...any) {}
func (silent) ErrorEnabled() bool          { return false }

// sentinelCases holds Entry and Exit with the three rules of the benchmark's guard, in sentinel's words, and with one
// rule for each discipline that it has. Its statistics stay on.
func sentinelCases() ([]benchCase, error) {
	if err := startSentinel(); err != nil {
		return nil, err
	}
	if err := loadSentinelRules(); err != nil {
		return nil, err
	}
	cases := []benchCase{{Work: "guard", Who: "alibaba/sentinel-golang", make: sentinelLoop}}
	for _, work := range []string{"pacing", "sliding_window", "warm_up", "breaker_slow"} {
		cases = append(cases, sentinelCase(work, api.WithTrafficType(base.Outbound)))
	}
	cases = append(cases, sentinelCase("system", api.WithTrafficType(base.Inbound)))
	return append(cases, eachCase("keyed", "alibaba/sentinel-golang", func() func() bool {
		keys := newKeys()
		return func() bool { return sentinelPass("keyed", api.WithArgs(keys.next())) }
	})), nil
}

// sentinelCase enters the resource of the work's name.
func sentinelCase(work string, option api.EntryOption) benchCase {
	return yesCase(work, "alibaba/sentinel-golang", func() bool { return sentinelPass(work, option) })
}

func sentinelPass(resource string, option api.EntryOption) bool {
	entry, blocked := api.Entry(resource, option)
	if blocked != nil {
		return false
	}
	entry.Exit()
	return true
}

// startSentinel takes the default configuration, without what runs beside the calls: its metric log file and
// its collector of system figures.
func startSentinel() error {
	entity := config.NewDefaultConfig()
	entity.Sentinel.Log.Logger = silent{}
	entity.Sentinel.Log.Metric.FlushIntervalSec = 0
	entity.Sentinel.Stat.System = config.SystemStatConfig{}
	return api.InitWithConfig(entity)
}

func loadSentinelRules() error {
	_, err := flow.LoadRules([]*flow.Rule{
		{Resource: resource, TokenCalculateStrategy: flow.Direct, ControlBehavior: flow.Reject, Threshold: 1e9},
		{Resource: "pacing", TokenCalculateStrategy: flow.Direct, ControlBehavior: flow.Throttling, Threshold: 1e9, MaxQueueingTimeMs: 500},
		{Resource: "sliding_window", TokenCalculateStrategy: flow.Direct, ControlBehavior: flow.Reject, Threshold: 1e9},
		{
			Resource: "warm_up", TokenCalculateStrategy: flow.WarmUp, ControlBehavior: flow.Reject, Threshold: 1e9,
			WarmUpPeriodSec: 10, WarmUpColdFactor: 3,
		},
	})
	if err != nil {
		return err
	}
	_, err = isolation.LoadRules([]*isolation.Rule{{
		Resource: resource, MetricType: isolation.Concurrency, Threshold: 1_000_000,
	}})
	if err != nil {
		return err
	}
	_, err = circuitbreaker.LoadRules([]*circuitbreaker.Rule{
		{
			Resource: resource, Strategy: circuitbreaker.ErrorRatio, Threshold: 0.5, MinRequestAmount: 20,
			StatIntervalMs: 10_000, StatSlidingWindowBucketCount: 10, RetryTimeoutMs: 5_000,
		},
		{
			Resource: "breaker_slow", Strategy: circuitbreaker.SlowRequestRatio, Threshold: 0.5, MinRequestAmount: 20,
			StatIntervalMs: 10_000, StatSlidingWindowBucketCount: 10, RetryTimeoutMs: 5_000, MaxAllowedRtMs: 100,
		},
	})
	if err != nil {
		return err
	}
	return loadSentinelSystemRules()
}

// loadSentinelSystemRules has one rule for the CPU, of which sentinel knows nothing here as it collects no figures, and one for
// each key of a resource.
func loadSentinelSystemRules() error {
	_, err := system.LoadRules([]*system.Rule{{MetricType: system.CpuUsage, TriggerCount: 0.9, Strategy: system.BBR}})
	if err != nil {
		return err
	}
	_, err = hotspot.LoadRules([]*hotspot.Rule{{
		Resource: "keyed", MetricType: hotspot.QPS, ControlBehavior: hotspot.Reject, Threshold: 1e9, DurationInSec: 1,
		ParamsMaxCapacity: 10_000,
	}})
	return err
}

func sentinelLoop() loop {
	return func(n, steps int, x uint64) uint64 {
		for range n {
			entry, blocked := api.Entry(resource, api.WithTrafficType(base.Outbound))
			if blocked != nil {
				fail(blocked)
			}
			entry.Exit()
			if steps > 0 {
				x = spin(x, steps)
			}
		}
		return x
	}
}

var _ logging.Logger = silent{}
