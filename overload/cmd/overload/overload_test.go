package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidegate/tidegate/overload/load"
	"github.com/tidegate/tidegate/overload/protect"
	"github.com/tidegate/tidegate/overload/tally"
)

// stood is a stand that was asked three times.
func stood(t *testing.T) *stand {
	t.Helper()
	s := full()
	s.Mean = time.Microsecond
	stand, err := s.stand(protect.Pick(protect.Kinds(), "tidegate-fixed")[0])
	if err != nil {
		t.Fatal(err)
	}
	stand.run(context.Background(), make([]load.Arrival, 3))
	return stand
}

func TestNothingIsUnmetWhereAllIsWell(t *testing.T) {
	var e expectations
	if err := stood(t).close(context.Background(), &e); err != nil {
		t.Fatal(err)
	}
	if e.Unmet != 0 || e.Met == 0 || e.end() != nil {
		t.Errorf("%+v", e)
	}
}

func TestWhatIsNotAsItHasToBeIsSeen(t *testing.T) {
	for name, spoil := range map[string]func(*stand){
		"a call that failed":        func(s *stand) { s.made[0].End = tally.Failed },
		"a call that was lost":      func(s *stand) { s.made = s.made[1:] },
		"an answer told otherwise":  func(s *stand) { s.made[0].End = tally.Refused },
		"a call that is still held": func(s *stand) { s.protection.Enter(context.Background(), protect.Call{}) },
		"too many attempts":         func(s *stand) { s.made[0].Attempts = 10 },
	} {
		s, e := stood(t), expectations{}
		spoil(s)
		if err := s.close(context.Background(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Unmet == 0 || e.end() == nil {
			t.Errorf("%s is not seen", name)
		}
	}
}

// done is an experiment that has run, on a machine that was busy for one row.
func done() *experiment {
	e := &experiment{settings: full(), Skipped: []string{"tidegate-guesswork: skipped"}}
	e.Points = []point{
		{Protection: "none", Offered: 0.5, Goodput: 0.5, OnTime: true, Answered: 90},
		{Protection: "none", Offered: 10, Goodput: 0.01, SentLate: 400},
	}
	e.Priorities = []priority{{Protection: "none", OnTime: true}}
	e.Storms = []storm{{Protection: "none", OnTime: true}}
	return e
}

func TestTablesMarkWhatSaysLittle(t *testing.T) {
	e := done()
	for _, text := range []string{"400.0 ms   0.00  *\n", "* calls were sent more than 50ms late", "guesswork", "not in the run"} {
		if !strings.Contains(e.tables(), text) {
			t.Errorf("%q is not in\n%s", text, e.tables())
		}
	}
	e.Points = e.Points[:1]
	if strings.Contains(e.tables(), "*") {
		t.Errorf("marked without a reason:\n%s", e.tables())
	}
}

func TestThePageGetsTheTables(t *testing.T) {
	e, folder := done(), t.TempDir()
	page := filepath.Join(folder, "overload.md")
	e.docs = folder
	if err := os.WriteFile(page, []byte("before\n"+begin+"\nold\n"+end+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := e.writeDocs("a table\n"); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(page)
	if want := "before\n" + begin + "\n```text\na table\n```\n" + end + "\nafter\n"; string(got) != want {
		t.Errorf("%s", got)
	}
	if drawn, err := os.ReadFile(filepath.Join(folder, "overload.svg")); err != nil || !strings.HasPrefix(string(drawn), "<svg") {
		t.Errorf("%.40s, %v", drawn, err)
	}
	if err := os.WriteFile(page, []byte("no place"), 0o644); err != nil || e.writeDocs("") == nil {
		t.Error("a page without a place for the tables is written to")
	}
}

func TestTheSummaryIsJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary.json")
	if err := done().write(path); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	var read struct {
		Capacity float64 `json:"capacity_per_s"`
		Points   []point
		Skipped  []string
	}
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if read.Capacity != 200 || len(read.Points) != 2 || read.Points[1].SentLate != 400 || len(read.Skipped) != 1 {
		t.Errorf("%+v", read)
	}
}
