package main

import (
	"bytes"
	"errors"
	"os/exec"
	"strconv"
	"strings"
)

// sumOf adds the samples of a metric up, in the Prometheus text format, over all its label sets.
func sumOf(page, metric string) (sum float64) {
	for line := range strings.Lines(page) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if base, labels, labelled := strings.Cut(name, "{"); labelled {
			name = base
			// A label's value may hold a space: the number is what follows the last one.
			rest = labels + " " + rest
		}
		if name != metric {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndex(rest, " ")+1:], 64)
		if err == nil {
			sum += value
		}
	}
	return sum
}

// promtool has Prometheus' own tool judge a page; the text is its verdict.
func promtool(page []byte) (verdict string, clean bool) {
	command := exec.Command("promtool", "check", "metrics")
	command.Stdin = bytes.NewReader(page)
	output, err := command.CombinedOutput()
	said := strings.TrimSpace(string(output))
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "not checked: promtool is not installed (Debian package prometheus)", false
	case err != nil:
		return strings.TrimSpace(err.Error() + " " + said), false
	case said != "":
		return said, false
	}
	return "clean", true
}
