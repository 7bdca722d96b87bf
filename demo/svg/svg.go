// Package svg draws documents of lines and words, and maps values to their pixels.
package svg

import (
	"fmt"
	"html"
	"strings"
)

// Document is one under way. Attributes are given as in SVG, lengths in pixels.
type Document struct{ strings.Builder }

// Open begins a document of this size.
func (s *Document) Open(width, height float64) {
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" `+
		`font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">`+"\n", width, height, width, height)
	s.Rect(0, 0, width, height, `fill="#ffffff"`)
}

// Close ends it.
func (s *Document) Close() { s.WriteString("</svg>\n") }

// Rect draws a rectangle.
func (s *Document) Rect(x, y, width, height float64, attributes string) {
	fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s/>`+"\n", x, y, width, height, attributes)
}

// Line draws one.
func (s *Document) Line(x1, y1, x2, y2 float64, attributes string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, attributes)
}

// Text writes a line of it.
func (s *Document) Text(x, y float64, attributes, text string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(text))
}

// Path draws lines from point to point.
func (s *Document) Path(points [][2]float64, attributes string) {
	var list []string
	for _, point := range points {
		list = append(list, fmt.Sprintf("%.1f,%.1f", point[0], point[1]))
	}
	fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke-linejoin="round" %s/>`+"\n", strings.Join(list, " "), attributes)
}
