package tidegate

import (
	"slices"
	"strconv"
	"strings"
)

// Instrument describes a counter, gauge or histogram.
type Instrument struct {
	Name string // [a-zA-Z_:][a-zA-Z0-9_:]*
	Help string // one sentence for people; may be empty
	Unit string // as in OpenMetrics: "seconds", "bytes"; may be empty
}

// Label is a name and value that tells one series of an instrument from the
// others. Values should be few: each makes a series in the segment.
type Label struct{ Name, Value string }

type instrumentKind int32

const (
	counterKind   instrumentKind = 0
	gaugeKind     instrumentKind = 1
	histogramKind instrumentKind = 2
)

func (k instrumentKind) String() string {
	return [...]string{"counter", "gauge", "histogram"}[k]
}

// series is what the three kinds of instrument have in common.
type series struct {
	handle uintptr
	rt     *Runtime
	key    string
}

// resolve finds or makes the series of these labels, in whatever order they
// stand.
func (rt *Runtime) resolve(kind instrumentKind, desc Instrument, labels []Label, key string) (series, error) {
	s := series{rt: rt, key: key}
	err := rt.attempt(kind.String(), func(handle uintptr) (err error) {
		s.handle, err = libInstrumentResolve(kind, handle, desc, labels)
		return err
	})
	return s, err
}

// seriesKey is the same for the same name and labels in any order. Lengths
// keep strings apart that would run together.
func seriesKey(name string, labels []Label) string {
	if len(labels) == 0 {
		return name
	}
	sorted := slices.Clone(labels)
	slices.SortFunc(sorted, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	var key strings.Builder
	key.WriteString(name)
	for _, l := range sorted {
		for _, part := range [...]string{l.Name, l.Value} {
			key.WriteByte(0)
			key.WriteString(strconv.Itoa(len(part)))
			key.WriteByte(0)
			key.WriteString(part)
		}
	}
	return key.String()
}

// record counts what the library would not take.
func (s *series) record(status Status) {
	if status != statusOK {
		s.rt.fault(status)
	}
}
