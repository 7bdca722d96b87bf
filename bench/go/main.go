// Command bench is the Go side of `make bench`. It measures what it is asked for, one line of standard
// input at a time, so that bench/run can alternate between this program and those in Rust and C:
//
//   - list: one JSON line with every case, [{"work": ..., "who": ...}, ...];
//   - run CASE THREADS BETWEEN MILLISECONDS: one line with the nanoseconds an operation.
//
// Its arguments are the file of the rules, and that of the policy.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"time"
)

// ballast keeps the garbage collector as quiet as it is in a service with a heap of some size: without
// it the peers that allocate would be collected every few megabytes.
var ballast = make([]byte, 64<<20)

func main() {
	if len(os.Args) != 3 {
		fail("usage: bench RULES.json POLICY.wasm")
	}
	cases, err := allCases(os.Args[1], os.Args[2])
	if err != nil {
		fail(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(answer(cases, lines.Text()))
	}
	runtime.KeepAlive(ballast)
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "bench:", why)
	os.Exit(1)
}

func allCases(rules, policy string) ([]benchCase, error) {
	cases := []benchCase{betweenWork(), rateAllow(), gobreakerExecute(), dropIn(), composed()}
	cases = append(cases, failsafeCases()...)
	cases = append(cases, prometheusCases()...)
	cases = append(cases, limiterCases()...)
	cases = append(cases, kratosCases()...)
	cases = append(cases, backoffCases()...)
	cases = append(cases, smallCases()...)
	tidegates := func() ([]benchCase, error) { return tidegateCases(rules, policy) }
	for _, more := range []func() ([]benchCase, error){tidegates, sentinelCases, otelCases, concurrencyLimitsCases} {
		found, err := more()
		if err != nil {
			return nil, err
		}
		cases = append(cases, found...)
	}
	return cases, nil
}

func answer(cases []benchCase, line string) string {
	if line == "list" {
		text, _ := json.Marshal(cases) // strings only: cannot fail
		return string(text)
	}
	var index, between, ms int
	var p plan
	_, err := fmt.Sscanf(line, "run %d %d %d %d", &index, &p.threads, &between, &ms)
	if err != nil || index < 0 || index >= len(cases) || p.threads < 1 {
		fail("not understood: " + line)
	}
	p.between, p.time = between == 1, time.Duration(ms)*time.Millisecond
	return fmt.Sprintf("%.4f", cases[index].run(p))
}

// betweenWork is the cost of the work between calls and of the loop itself, which the driver subtracts.
func betweenWork() benchCase {
	return benchCase{Work: "between_work", Who: "go", make: func() loop {
		return func(n, steps int, x uint64) uint64 {
			for range n {
				if steps > 0 {
					x = spin(x, steps)
				}
			}
			return x
		}
	}}
}
