package protect

import (
	"context"

	"github.com/go-kratos/aegis/ratelimit"
	"github.com/go-kratos/aegis/ratelimit/bbr"
)

// kratos begins to refuse when the machine's CPU is above 80 %, as it comes; what the CPU does here is the load's doing
// and not the service's. Set to refuse whatever the CPU does, it never lets in more than it began with, for its limit
// follows from what it let in.
var kratos = Kind{"kratos-bbr", "aegis' BBR of go-kratos, its defaults", func() (Protection, error) {
	return &kratosLimiter{bbr.NewLimiter()}, nil
}}

type kratosLimiter struct{ limiter *bbr.BBR }

func (k *kratosLimiter) Enter(context.Context, Call) (func(bool), bool) {
	done, err := k.limiter.Allow()
	return func(bool) { done(ratelimit.DoneInfo{}) }, err == nil
}

func (*kratosLimiter) Most() int    { return 0 }
func (*kratosLimiter) Check() error { return nil }
func (*kratosLimiter) Close() error { return nil }
