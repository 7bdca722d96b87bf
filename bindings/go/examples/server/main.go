// Server is a small HTTP service behind a guard. Start it, then ask it ten
// times at once:
//
//	go run . &
//	for i in $(seq 10); do curl -s -o /dev/null -w '%{http_code} ' localhost:8080/hello; done
//	curl -s localhost:8080/metrics | grep tidegate_guard_rejected_total
//
// Five calls get 200, the others 429 with a Retry-After.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/tidegate/tidegate/bindings/go"
)

const rules = `{
  "version": 1,
  "guards": {
    "hello": {
      "rate":        [{"limit": 1, "per": "10s", "burst": 5}],
      "concurrency": {"max": 100},
      "timeout":     "2s"
    }
  }
}`

func main() {
	address := flag.String("address", "localhost:8080", "where to listen")
	flag.Parse()

	gate, err := tidegate.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close()
	if err := gate.ApplyRules([]byte(rules)); errors.Is(err, tidegate.ErrUnavailable) {
		log.Print(err) // no library on this system: calls pass unguarded
	} else if err != nil {
		log.Fatal(err)
	}

	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	})
	http.Handle("/hello", gate.Middleware("hello")(hello))
	http.Handle("/metrics", gate.MetricsHandler())
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
