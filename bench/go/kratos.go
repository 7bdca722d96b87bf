package main

import (
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/go-kratos/aegis/ratelimit"
	"github.com/go-kratos/aegis/ratelimit/bbr"
)

// kratosCases are aegis' SRE breaker, which is a throttle, with its defaults, and its BBR, whose threshold the CPU does
// not reach here, as in the other protections by the system's load.
func kratosCases() []benchCase {
	breaker, limiter := sre.NewBreaker(), bbr.NewLimiter(bbr.WithCPUThreshold(1001))
	return []benchCase{
		yesCase("throttle", "go-kratos/aegis", func() bool {
			err := breaker.Allow()
			breaker.MarkSuccess()
			return err == nil
		}),
		yesCase("system", "go-kratos/aegis", func() bool {
			done, err := limiter.Allow()
			if err == nil {
				done(ratelimit.DoneInfo{})
			}
			return err == nil
		}),
	}
}
