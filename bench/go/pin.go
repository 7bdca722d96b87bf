package main

import "golang.org/x/sys/unix"

var cores = allowedCores()

// pinToCore binds the calling thread to one of the cores that the process may use, counted from the
// last: the first core is the one that most interrupts go to. Where the system refuses, it stays free.
func pinToCore(index int) {
	if len(cores) == 0 {
		return
	}
	var set unix.CPUSet
	set.Set(cores[len(cores)-1-index%len(cores)])
	_ = unix.SchedSetaffinity(0, &set)
}

func allowedCores() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var cores []int
	for core := range len(set) * 64 {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores
}
