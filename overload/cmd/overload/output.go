package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// tables are those of all experiments that ran.
func (e *experiment) tables() string {
	var text strings.Builder
	add := func(title string, n int, line func(i int) string) {
		if n == 0 {
			return
		}
		fmt.Fprintf(&text, "%s\n", title)
		for i := range n {
			fmt.Fprintf(&text, "%s\n", line(i))
		}
		fmt.Fprintln(&text)
	}
	add(pointTitle, len(e.Points), func(i int) string { return e.Points[i].line() })
	add(priorityTitle, len(e.Priorities), func(i int) string { return e.Priorities[i].line() })
	add(stormTitle, len(e.Storms), func(i int) string { return e.Storms[i].line() })
	if strings.Contains(text.String(), mark(false)+"\n") {
		fmt.Fprintf(&text, "* calls were sent more than %s late (p99): the machine was too busy, and the row says little\n\n", e.OnTime)
	}
	for _, line := range e.Skipped {
		fmt.Fprintln(&text, line)
	}
	return text.String()
}

// write writes summary.json.
func (e *experiment) write(path string) error {
	text, err := json.MarshalIndent(struct {
		Machine    string     `json:"machine"`
		Settings   settings   `json:"settings"`
		Capacity   float64    `json:"capacity_per_s"`
		Points     []point    `json:"points"`
		Priorities []priority `json:"priorities"`
		Storms     []storm    `json:"storms"`
		Skipped    []string   `json:"skipped"`
	}{
		fmt.Sprintf("%d processors, %s", runtime.NumCPU(), runtime.Version()),
		e.settings, e.capacity(), e.Points, e.Priorities, e.Storms, e.Skipped,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

const begin, end = "<!-- table: begin -->", "<!-- table: end -->"

// writeDocs puts the tables between the two markers of overload.md, and the picture beside it.
func (e *experiment) writeDocs(tables string) error {
	path := filepath.Join(e.docs, "overload.md")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(old), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the tables", path)
	}
	text := before + begin + "\n```text\n" + strings.TrimSpace(tables) + "\n```\n" + end + after
	return errors.Join(os.WriteFile(path, []byte(text), 0o644), e.drawTo(filepath.Join(e.docs, "overload.svg")))
}
