//go:build cgo && linux && !tidegate_passthrough

package tidegate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/tidegate/tidegate/bindings/go"
)

func Example() {
	rt, err := tidegate.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	rules := `{"version": 1, "guards": {"payments.charge": {"concurrency": {"max": 1}}}}`
	if err := rt.ApplyRules([]byte(rules)); err != nil {
		log.Fatal(err)
	}
	payments, err := rt.Guard("payments.charge")
	if err != nil {
		log.Fatal(err)
	}
	err = payments.Do(context.Background(), func(ctx context.Context) error {
		fmt.Println("charged")
		return payments.Do(ctx, func(context.Context) error { return nil }) // one too many
	})
	var refused *tidegate.RefusedError
	if errors.As(err, &refused) {
		fmt.Println("refused by", refused.Stage)
	}
	// Output:
	// charged
	// refused by concurrency
}

func ExampleGuard_Enter() {
	rt, _ := tidegate.Open()
	defer rt.Close()
	search, _ := rt.Guard("search")

	permit, err := search.Enter(context.Background(), tidegate.WithKey("tenant-7"))
	if err != nil {
		fmt.Println("not now:", err)
		return
	}
	// ... the call itself ...
	_ = permit.Exit(tidegate.Success)

	stats, _ := search.Stats()
	fmt.Println(stats.Calls[tidegate.Success], "call,", stats.InFlight, "in flight")
	// Output: 1 call, 0 in flight
}

func ExampleWithVirtualClock() {
	rt, _ := tidegate.Open(tidegate.WithVirtualClock(0))
	defer rt.Close()
	_ = rt.ApplyRules([]byte(`{"version": 1, "guards": {"mail": {"rate": [{"limit": 1, "per": "1m", "burst": 1}]}}}`))
	mail, _ := rt.Guard("mail")
	send := func(context.Context) error { return nil }

	fmt.Println(mail.Do(context.Background(), send))
	fmt.Println(mail.Do(context.Background(), send))
	_ = rt.Clock().Advance(time.Minute)
	fmt.Println(mail.Do(context.Background(), send))
	// Output:
	// <nil>
	// tidegate: mail refused by rate, retry after 1m0s
	// <nil>
}

func ExampleRuntime_ApplyRules() {
	rt, _ := tidegate.Open()
	defer rt.Close()
	err := rt.ApplyRules([]byte(`{"version": 1, "guards": {"a": {"rate": [{"limit": 0, "per": "1s"}]}}}`))
	var wrong *tidegate.RulesError
	if errors.As(err, &wrong) {
		for _, problem := range wrong.Problems {
			fmt.Println(problem.Path)
		}
	}
	// Output: $.guards.a.rate[0].limit
}

func ExampleRuntime_Middleware() {
	rt, _ := tidegate.Open(tidegate.WithVirtualClock(0))
	defer rt.Close()
	_ = rt.ApplyRules([]byte(`{"version": 1, "guards": {"hello": {"rate": [{"limit": 1, "per": "30s", "burst": 1}]}}}`))
	hello := rt.Middleware("hello")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	for range 2 {
		answer := httptest.NewRecorder()
		hello.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
		fmt.Printf("%d %s, retry after %q\n", answer.Code, strings.TrimSpace(answer.Body.String()),
			answer.Header().Get("Retry-After"))
	}
	// Output:
	// 200 hello, retry after ""
	// 429 refused by rate, retry after "30"
}

func ExampleRuntime_RoundTripper() {
	rt, _ := tidegate.Open()
	defer rt.Close()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client := &http.Client{Transport: rt.RoundTripper(nil, "catalogue")}

	response, err := client.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	response.Body.Close()

	catalogue, _ := rt.Guard("catalogue")
	stats, _ := catalogue.Stats()
	fmt.Println(stats.Calls[tidegate.Success], "success: the backend is well, though it has no such page")
	// Output: 1 success: the backend is well, though it has no such page
}

func ExampleRuntime_Counter() {
	rt, _ := tidegate.Open()
	defer rt.Close()
	orders := tidegate.Instrument{Name: "shop_orders_total", Help: "Orders taken."}
	gifts, err := rt.Counter(orders, tidegate.Label{Name: "kind", Value: "gift"})
	if err != nil {
		log.Fatal(err)
	}
	gifts.Add(3)
	_, _ = rt.WriteMetrics(linesWith("shop_orders_total{"), "")
	// Output: shop_orders_total{kind="gift"} 3
}

// linesWith prints the lines that have this text in them.
type linesWith string

func (text linesWith) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if strings.Contains(line, string(text)) {
			fmt.Fprint(os.Stdout, line)
		}
	}
	return len(p), nil
}
