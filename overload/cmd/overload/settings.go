package main

import (
	"time"

	"github.com/tidegate/tidegate/overload/service"
)

// settings are the numbers of the experiments, as they stand in summary.json too.
type settings struct {
	Workers     int           `json:"workers"`
	Mean        time.Duration `json:"mean_ns"` // of the service time
	Times       string        `json:"service_times"`
	Queue       int           `json:"queue"`
	Deadline    time.Duration `json:"deadline_ns"`
	OnTime      time.Duration `json:"on_time_ns"` // p99 of how much later calls may be sent than they were to be
	Repeats     int           `json:"-"`          // at most, where they were not
	Seed        uint64        `json:"seed"`
	Factors     []float64     `json:"offered"`  // times the capacity
	Warm, Point time.Duration `json:"-"`        // of each load: the start that is left out, and all of it
	Critical    float64       `json:"critical"` // of the capacity
	Spike       float64       `json:"spike"`    // of the capacity
	Third       time.Duration `json:"-"`        // before, during and after the spike
	Usual       float64       `json:"usual"`    // load of the storm, of the capacity
	Patience    time.Duration `json:"patience_ns"`
	CallFor     time.Duration `json:"call_for_ns"`
	Before      time.Duration `json:"-"`
	Outage      time.Duration `json:"outage_ns"`
	After       time.Duration `json:"-"`
}

func full() settings {
	return settings{
		Workers: 8, Mean: 40 * time.Millisecond, Times: "exponential", Queue: 256,
		Deadline: 500 * time.Millisecond, OnTime: 50 * time.Millisecond, Repeats: 10, Seed: 1,
		Factors: []float64{0.5, 1, 1.5, 2, 3, 5, 10}, Warm: time.Second, Point: 3 * time.Second,
		Critical: 0.6, Spike: 12, Third: 2 * time.Second,
		Usual: 0.7, Patience: 300 * time.Millisecond, CallFor: 2 * time.Second,
		Before: 2 * time.Second, Outage: 10 * time.Second, After: 12 * time.Second,
	}
}

// short shows that all works, and measures nothing.
func short() settings {
	s := full()
	s.Factors, s.Warm, s.Point = []float64{0.5, 2, 10}, 150*time.Millisecond, 500*time.Millisecond
	s.Repeats = 0
	s.Third = 300 * time.Millisecond
	s.Before, s.Outage, s.After = 500*time.Millisecond, 2*time.Second, 2*time.Second
	return s
}

func (s *settings) capacity() float64 { return float64(s.Workers) / s.Mean.Seconds() }

func (s *settings) pool() (*service.Pool, error) {
	times, err := service.NamedTimes(s.Times, s.Mean, s.Seed)
	if err != nil {
		return nil, err
	}
	return service.NewPool(s.Workers, s.Queue, times), nil
}
