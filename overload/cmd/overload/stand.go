package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/tidegate/tidegate/overload/load"
	"github.com/tidegate/tidegate/overload/protect"
	"github.com/tidegate/tidegate/overload/service"
	"github.com/tidegate/tidegate/overload/tally"
)

// address is where services listen: a free port each.
const address = "127.0.0.1:0"

// stand is a service with a protection, and a client of it.
type stand struct {
	*settings
	name       string
	protection protect.Protection
	server     *service.Server
	client     *load.Client
	made       []tally.Call // all that were made so far
}

func (s *settings) stand(kind protect.Kind) (*stand, error) {
	pool, err := s.pool()
	if err != nil {
		return nil, err
	}
	protection, err := kind.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind.Name, err)
	}
	server, err := service.Start(address, pool, protection)
	if err != nil {
		_ = protection.Close()
		return nil, err
	}
	return &stand{s, kind.Name, protection, server, load.NewClient(server.URL), nil}, nil
}

// run makes the calls, once each.
func (s *stand) run(ctx context.Context, calls []load.Arrival) []tally.Call {
	ends := load.Run(ctx, calls, time.Now(), s.Deadline, func(ctx context.Context, a load.Arrival) (tally.End, int) {
		return s.client.Ask(ctx, a.Criticality), 1
	})
	s.made = append(s.made, ends...)
	return ends
}

// close ends everything and says what was not as it has to be; to be called when all calls are answered, or cut off.
func (s *stand) close(ctx context.Context, to *expectations) error {
	s.client.Close()
	if ctx.Err() == nil {
		to.judge(s)
	}
	err := s.server.Close()
	if closing := s.protection.Close(); err == nil {
		err = closing
	}
	return err
}

// cpu is the processor time that this program has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
