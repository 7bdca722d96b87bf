package main

import (
	"errors"
	"fmt"

	"github.com/tidegate/tidegate/overload/retry"
	"github.com/tidegate/tidegate/overload/tally"
)

// expectations are what has to be so after every run, on any machine, however busy: none is about speed.
type expectations struct{ Met, Unmet int }

func (e *expectations) want(met bool, format string, values ...any) {
	if met {
		e.Met++
		return
	}
	e.Unmet++
	fmt.Printf("NOT MET: "+format+"\n", values...)
}

// judge looks at a stand whose calls have all ended.
func (e *expectations) judge(s *stand) {
	client, server := tally.Sum(s.made), s.server.Counts()
	if len(s.made) > 0 {
		e.want(client.Failed == 0, "%s: %d calls failed", s.name, client.Failed)
	}
	e.want(int64(client.Attempts) == server.Received, "%s: %d attempts were made, %d were received",
		s.name, client.Attempts, server.Received)
	e.want(server.Served+server.Refused+server.Full == server.Received, "%s: calls are missing: %+v", s.name, server)
	e.want(server.Inside == 0, "%s: %d calls are inside at the end", s.name, server.Inside)
	e.want(client.Attempts <= retry.Attempts*client.Offered, "%s: %d attempts for %d calls", s.name, client.Attempts, client.Offered)
	if client.Attempts == client.Offered { // no call hides how its first attempts ended
		e.want(int64(client.Good+client.Late) == server.Served && int64(client.Refused) == server.Refused &&
			int64(client.Full) == server.Full, "%s: callers and service differ: %+v, %+v", s.name, client, server)
	}
	if most := s.protection.Most(); most > 0 {
		e.want(server.MostInside <= int64(most), "%s: %d calls were inside at once, %d may", s.name, server.MostInside, most)
	}
	err := s.protection.Check()
	e.want(err == nil, "%s: %v", s.name, err)
}

// end prints how many were met.
func (e *expectations) end() error {
	fmt.Printf("\nexpectations: %d passed, %d failed\n", e.Met, e.Unmet)
	if e.Unmet > 0 {
		return errors.New("not everything is as it has to be")
	}
	return nil
}
