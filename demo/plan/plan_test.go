package plan

import (
	"testing"
	"time"
)

func TestPhasesFollowOneAnother(t *testing.T) {
	p := Full()
	for _, c := range []struct {
		at   time.Duration
		name string
	}{
		{0, "healthy"}, {5*time.Second - 1, "healthy"}, {5 * time.Second, "slow"},
		{11 * time.Second, "failing"}, {16 * time.Second, "recovered"}, {time.Hour, "recovered"},
	} {
		if got := p.At(c.at).Name; got != c.name {
			t.Errorf("at %s: %s, want %s", c.at, got, c.name)
		}
	}
}

func TestStartsAddUp(t *testing.T) {
	p := Full()
	if got := p.Start("failing"); got != 11*time.Second {
		t.Errorf("failing starts at %s", got)
	}
	if p.Total() != p.Start("recovered")+p[3].For {
		t.Errorf("total is %s", p.Total())
	}
}

func TestShortTellsTheSameStory(t *testing.T) {
	full, short := Full(), Short()
	if got := short.Total(); got > 8*time.Second {
		t.Errorf("short takes %s", got)
	}
	for i := range full {
		if full[i].Service != short[i].Service || full[i].Name != short[i].Name {
			t.Errorf("phase %d differs in more than its length", i)
		}
	}
}

func TestServable(t *testing.T) {
	// 500/s while healthy and recovered, 16 workers x 80 ms = 200/s while slow, none while failing.
	if got := Full().Servable(500); got != 500*12+200*6 {
		t.Errorf("servable: %v", got)
	}
}

func TestNamed(t *testing.T) {
	if phase, ok := Full().Named("failing"); !ok || !phase.Fails {
		t.Errorf("failing: %+v, %v", phase, ok)
	}
	if _, ok := Full().Named("asleep"); ok {
		t.Error("found a phase that is not there")
	}
}
