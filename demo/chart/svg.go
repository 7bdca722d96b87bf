package chart

import (
	"fmt"
	"html"
	"strings"
)

// svg is a document under way. Attributes are given as in SVG.
type svg struct{ strings.Builder }

func (s *svg) open(width, height float64) {
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" `+
		`font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">`+"\n", width, height, width, height)
	s.rect(0, 0, width, height, `fill="#ffffff"`)
}

func (s *svg) close() { s.WriteString("</svg>\n") }

func (s *svg) rect(x, y, width, height float64, attributes string) {
	fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s/>`+"\n", x, y, width, height, attributes)
}

func (s *svg) line(x1, y1, x2, y2 float64, attributes string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, attributes)
}

func (s *svg) text(x, y float64, attributes, text string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(text))
}

func (s *svg) path(points [][2]float64, attributes string) {
	var list []string
	for _, point := range points {
		list = append(list, fmt.Sprintf("%.1f,%.1f", point[0], point[1]))
	}
	fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke-linejoin="round" %s/>`+"\n", strings.Join(list, " "), attributes)
}
