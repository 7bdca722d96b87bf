package chart

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestThePictureIsXMLWithALineEach(t *testing.T) {
	p := &Picture{Title: "a < b & c", Deadline: 500}
	for i := range 9 { // more than there are colours
		line := p.Line(fmt.Sprintf("protection %d", i))
		line.Values = []Value{{0.5, 50, 100}, {1, 99, 200}, {10, 0, 0}}
	}
	if p.Line("protection 3") != p.Lines[3] || len(p.Lines) != 9 {
		t.Errorf("%d lines", len(p.Lines))
	}
	var drawn strings.Builder
	if err := p.Draw(&drawn); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(drawn.String()))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"a &lt; b &amp; c", "protection 8", "goodput", "p99", "times the capacity"} {
		if !strings.Contains(drawn.String(), text) {
			t.Errorf("%q is not in it", text)
		}
	}
}

func TestLoadsStandAtEqualRatios(t *testing.T) {
	p := &Picture{Lines: []*Line{{Values: []Value{{Offered: 0.5}, {Offered: 1}, {Offered: 2}}}}}
	if one, two := p.x(1)-p.x(0.5), p.x(2)-p.x(1); one <= 0 || one-two > 1e-9 || two-one > 1e-9 {
		t.Errorf("0.5, 1, 2 are at %v, %v, %v", p.x(0.5), p.x(1), p.x(2))
	}
}
