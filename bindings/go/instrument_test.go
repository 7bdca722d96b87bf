package tidegate_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

var orders = tidegate.Instrument{Name: "orders_total", Help: "Orders taken."}

func TestCounterCounts(t *testing.T) {
	c, err := open(t).Counter(orders)
	must(t, err)
	var all group
	for range 8 {
		all.Go(func() {
			for range 1000 {
				c.Inc()
			}
			c.Add(5)
		})
	}
	all.Wait()
	if n, err := c.Value(); n != 8040 || err != nil {
		t.Fatal(n, err)
	}
}

func TestLabelsMakeSeriesInAnyOrder(t *testing.T) {
	rt := open(t)
	kind, region := tidegate.Label{Name: "kind", Value: "gift"}, tidegate.Label{Name: "region", Value: "north"}
	ab, err := rt.Counter(orders, kind, region)
	must(t, err)
	ba, err := rt.Counter(orders, region, kind)
	must(t, err)
	other, err := rt.Counter(orders, kind, tidegate.Label{Name: "region", Value: "south"})
	must(t, err)
	if ab != ba || ab == other {
		t.Fatal("the order of labels makes a difference, or their values do not")
	}
	ab.Add(2)
	other.Add(3)
	text := scrape(t, rt)
	for _, line := range []string{`region="north"} 2`, `region="south"} 3`, "# HELP orders_total Orders taken."} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

func TestGaugeGoesUpAndDown(t *testing.T) {
	g, err := open(t).Gauge(tidegate.Instrument{Name: "queue_bytes", Unit: "bytes"})
	must(t, err)
	g.Set(10)
	g.Add(-2.5)
	if v, err := g.Value(); v != 7.5 || err != nil {
		t.Fatal(v, err)
	}
}

func TestHistogramKnowsItsQuantiles(t *testing.T) {
	rt := open(t)
	h, err := rt.Histogram(tidegate.Instrument{Name: "wait_seconds", Unit: "seconds"})
	must(t, err)
	values := make([]float64, 1000)
	for i := range values {
		values[i] = float64(i+1) / 1000
	}
	h.RecordAll(values)
	h.RecordAll(nil)
	median, err := h.Quantile(0.5)
	must(t, err)
	if math.Abs(median-0.5) > 0.03 {
		t.Fatal(median)
	}
	h.RecordSince(time.Now())
	if !strings.Contains(scrape(t, rt), "wait_seconds_count 1001") {
		t.Fatal(scrape(t, rt))
	}
}

func TestWrongValuesAreFaultsAndNotRecorded(t *testing.T) {
	rt := open(t)
	h, err := rt.Histogram(tidegate.Instrument{Name: "wait_seconds"})
	must(t, err)
	h.Record(-1)
	h.Record(math.NaN())
	if rt.Faults()[tidegate.ErrInvalid] != 2 {
		t.Fatal(rt.Faults())
	}
	_, err = h.Quantile(2)
	mustBe(t, err, tidegate.ErrInvalid)
}

func TestWrongNamesAreInvalid(t *testing.T) {
	rt := open(t)
	_, err := rt.Counter(tidegate.Instrument{Name: "no name"})
	mustBe(t, err, tidegate.ErrInvalid)
	_, err = rt.Gauge(tidegate.Instrument{})
	mustBe(t, err, tidegate.ErrInvalid)
	_, err = rt.Counter(orders, tidegate.Label{Name: "a-b", Value: "v"})
	mustBe(t, err, tidegate.ErrInvalid)
}

func TestNameOfAnotherKindIsRefused(t *testing.T) {
	rt := open(t)
	_, err := rt.Counter(tidegate.Instrument{Name: "thing"})
	must(t, err)
	if _, err = rt.Gauge(tidegate.Instrument{Name: "thing"}); err == nil {
		t.Fatal("one name is two kinds")
	}
}

func TestRetiredSeriesAreNotExported(t *testing.T) {
	rt := open(t)
	c, err := rt.Counter(orders)
	must(t, err)
	g, err := rt.Gauge(tidegate.Instrument{Name: "depth"})
	must(t, err)
	h, err := rt.Histogram(tidegate.Instrument{Name: "wait_seconds"})
	must(t, err)
	for _, retire := range []func() error{c.Retire, g.Retire, h.Retire} {
		must(t, retire())
	}
	c.Inc()
	if text := scrape(t, rt); strings.Contains(text, "orders_total") || rt.Faults()[tidegate.ErrClosed] != 1 {
		t.Fatal(text, rt.Faults())
	}
	again, err := rt.Counter(orders)
	must(t, err)
	if n, err := again.Value(); n != 0 || err != nil {
		t.Fatal(n, err)
	}
}

func scrape(t *testing.T, rt *tidegate.Runtime) string {
	t.Helper()
	var text strings.Builder
	_, err := rt.WriteMetrics(&text, "")
	must(t, err)
	return text.String()
}
