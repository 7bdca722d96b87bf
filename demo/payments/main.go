// Command payments is the service that checkout depends on. It has a fixed number of workers, turns slow, fails and
// recovers by plan, and works on what was asked also when the asker has gone, as most servers do.
//
//	POST /charge             one payment
//	POST /start              the plan begins now
//	POST /phase?name=slow    stay in this phase, by hand
package main

import (
	"encoding/json"
	"flag"
	"log"

	"github.com/tidegate/tidegate/demo/plan"
	"github.com/tidegate/tidegate/demo/serve"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	phases := flag.String("plan", "", "the phases as JSON; the full plan if empty")
	flag.Parse()
	p := plan.Full()
	if *phases != "" {
		if err := json.Unmarshal([]byte(*phases), &p); err != nil || len(p) == 0 {
			log.Fatalf("payments: not a plan: %s: %v", *phases, err)
		}
	}
	if err := serve.Run(serve.Site{Name: "payments", Listen: *listen, Handler: routes(newPool(p))}); err != nil {
		log.Fatal("payments: ", err)
	}
}
