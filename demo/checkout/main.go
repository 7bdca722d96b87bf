// Command checkout is an HTTP service that calls payments for each request. Its calls are guarded by Tidegate, or, with
// -tidegate=off, only by the timeout that both ways have.
//
//	POST /checkout                 one order; the header Tier says free, standard or premium
//
// and at the address for operators:
//
//	GET  /metrics                  for Prometheus
//	GET  /state                    the guard's figures as JSON
//	POST /rules                    puts a rules document in force
//	POST /policy?name=tenant-tiers puts a WASM policy in force
package main

import (
	"flag"
	"log"
	"time"

	"github.com/tidegate/tidegate/demo/serve"
)

// timeout is how long a call to payments may take, with Tidegate (see rules/) and without.
const timeout = time.Second

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	operators := flag.String("operators", "127.0.0.1:0", "where to listen for operators")
	payments := flag.String("payments", "", "address of payments, as http://host:port")
	gate := flag.String("tidegate", "on", "on or off")
	flag.Parse()
	client := newPayments(*payments)
	var err error
	switch *gate {
	case "on":
		err = runGuarded(client, *listen, *operators)
	case "off":
		err = serve.Run(serve.Site{Name: "checkout", Listen: *listen, Handler: checkout(plain(client))})
	default:
		log.Fatalf("checkout: -tidegate=%s is neither on nor off", *gate)
	}
	if err != nil {
		log.Fatal("checkout: ", err)
	}
}
