//! The overload experiment as a simulation: what comes through, with which protection, at which load.

mod protection;
mod service;

use protection::{Guarded, Limited, None};
use service::{DEADLINE_NS, MS, Protection, SECOND, STEADY, Scenario, Source, Tally, WORKERS, run};
use tidegate_core::concurrency::adapt::{Algorithm, Numbers};
use tidegate_core::concurrency::aimd::Aimd;
use tidegate_core::guard::Criticality;

/// What comes before is the limit's way to its place.
const SETTLED: u64 = 3 * SECOND;
const END: u64 = STEADY.length_ns;
const LOADS: [fn(u64) -> f64; 7] = [|_| 0.5, |_| 0.9, |_| 1.1, |_| 1.4, |_| 2.0, |_| 5.0, |_| 10.0];

fn algorithms() -> [(&'static str, Numbers); 3] {
    [
        ("aimd", Numbers::new(Algorithm::Aimd(Aimd { timeout_ns: DEADLINE_NS / 4 }))),
        ("vegas", Numbers::new(Algorithm::Vegas(Default::default()))),
        ("gradient2", Numbers::new(Algorithm::Gradient2(Default::default()))),
    ]
}

fn plain(load: fn(u64) -> f64) -> [Source; 1] {
    [Source { class: Criticality::Default, level: 99, load }]
}

fn under(scenario: &Scenario, load: fn(u64) -> f64, protection: &mut impl Protection) -> Tally {
    let sources = plain(load);
    run(&Scenario { sources: &sources, ..*scenario }, protection).remove(0)
}

fn row(name: &str, tallies: [Tally; LOADS.len()]) -> [f64; LOADS.len()] {
    let goodput = tallies.each_ref().map(|tally| tally.goodput(SETTLED, END));
    let cells: Vec<_> = tallies
        .iter()
        .zip(goodput)
        .map(|(tally, goodput)| format!("{:5.1} {:4.1}", goodput * 100.0, tally.p99(SETTLED)))
        .collect();
    println!("{name:10} | {}", cells.join(" | "));
    goodput
}

#[test]
fn goodput_by_load_and_protection() {
    let loads: Vec<_> = LOADS.iter().map(|load| format!("{:>9}x", load(0))).collect();
    println!("goodput in % of capacity, p99 in service times\n           | {}", loads.join(" | "));
    let none = row("none", LOADS.map(|load| under(&STEADY, load, &mut None)));
    assert!(none[0] > 0.49 && none[4] < 0.05, "without protection overload is collapse: {none:?}");
    row("fixed", LOADS.map(|load| under(&STEADY, load, &mut Limited::fixed(WORKERS as u32 + 8))));
    for (name, numbers) in algorithms() {
        let goodput = row(name, LOADS.map(|load| under(&STEADY, load, &mut Limited::adaptive(numbers))));
        assert!(goodput[0] > 0.49 && goodput[1] > 0.88, "{name} refuses what fits: {goodput:?}");
        assert!(goodput[4] >= 0.95, "{name} at 2x: {goodput:?}");
        assert!(goodput[6] >= 0.90, "{name} at 10x: {goodput:?}");
    }
}

/// What comes through while something changes at 6 s.
fn changing(numbers: Numbers, scenario: &Scenario, load: fn(u64) -> f64) -> (Tally, Limited) {
    let mut limited = Limited::adaptive(numbers);
    let tally = under(scenario, load, &mut limited);
    (tally, limited)
}

const CHANGE: u64 = 6 * SECOND;

fn stepped(now: u64) -> f64 {
    if now < CHANGE { 0.7 } else { 1.4 }
}

#[test]
fn a_step_of_the_load_settles_fast() {
    for (name, numbers) in algorithms() {
        let (tally, _) = changing(numbers, &STEADY, stepped);
        for (from, to) in [(20, 200), (200, 1000), (1000, 4000)] {
            let goodput = tally.goodput(CHANGE + from * MS, CHANGE + to * MS);
            println!("{name:10} {from:>5} to {to:>5} ms after the step: {:5.1} %", goodput * 100.0);
            assert!(goodput > 0.92, "{name}: {goodput} of the capacity from {from} ms on");
        }
    }
}

#[test]
fn a_service_that_becomes_twice_as_slow_is_followed_and_back() {
    let slowness = |now: u64| if (CHANGE..2 * CHANGE).contains(&now) { 2.0 } else { 1.0 };
    let scenario = Scenario { slowness, length_ns: 3 * CHANGE, ..STEADY };
    for (name, numbers) in algorithms() {
        let (tally, limited) = changing(numbers, &scenario, |_| 2.0);
        let slices =
            [(CHANGE, 1), (CHANGE + SECOND, 1), (CHANGE + 2 * SECOND, 4), (2 * CHANGE, 1), (2 * CHANGE + SECOND, 5)];
        let goodput = slices.map(|(from, length)| tally.goodput(from, from + length * SECOND));
        let limits: Vec<_> = limited.limits(CHANGE, 3 * CHANGE).step_by(20).collect();
        println!("{name:10} slow: first s, second, rest; fast again: first s, rest: {goodput:.2?} {limits:?}");
        assert!(goodput[2] >= 0.9 / 2.0, "{name}: {goodput:?}");
        assert!(goodput[4] >= 0.95, "{name}: {goodput:?}");
    }
}

#[test]
fn nc134_modest_overload_does_not_let_the_limit_grow() {
    for (name, numbers) in algorithms() {
        for load in [|_| 1.02, |_| 1.1, |_| 1.3] as [fn(u64) -> f64; 3] {
            let scenario = Scenario { length_ns: 40 * SECOND, ..STEADY };
            let (tally, limited) = changing(numbers, &scenario, load);
            let highest = limited.limits(SETTLED, scenario.length_ns).max().unwrap();
            let goodput = tally.goodput(SETTLED, scenario.length_ns);
            println!("{name:10} {}x: highest limit {highest}, goodput {:.1} %", load(0), goodput * 100.0);
            // At most twice what was in flight, which aimd lets queue for its whole timeout.
            assert!(highest < 7 * WORKERS as u32 && goodput > 0.92, "{name} at {}x: {highest}, {goodput}", load(0));
        }
    }
}

#[test]
fn nc156_one_pause_is_forgiven() {
    let scenario = Scenario { pause: (CHANGE, SECOND), ..STEADY };
    for (name, numbers) in algorithms() {
        let (tally, limited) = changing(numbers, &scenario, |_| 1.4);
        let before = limited.limits(CHANGE - SECOND, CHANGE).min().unwrap();
        let after = limited.limits(CHANGE, CHANGE + 2 * SECOND).min().unwrap();
        let goodput = tally.goodput(CHANGE + SECOND, CHANGE + 2 * SECOND);
        println!("{name:10} lowest limit before {before}, after {after}, goodput {goodput:.2}");
        assert!(f64::from(after) > 0.5 * f64::from(before), "{name}: {before}, then {after}");
        assert!(goodput > 0.9, "{name}: {goodput}");
    }
}

#[test]
fn nc176_drops_bring_the_limit_down_whatever_the_latency_says() {
    let scenario = Scenario { queue: 4, ..STEADY };
    for (name, numbers) in algorithms() {
        let numbers = Numbers { initial: 1000, ..numbers };
        let (tally, limited) = changing(numbers, &scenario, |_| 5.0);
        let last = limited.limits(SETTLED, END).max().unwrap();
        let goodput = tally.goodput(SETTLED, END);
        println!("{name:10} highest limit {last}, goodput {goodput:.2}");
        assert!(last < 2 * WORKERS as u32 && goodput > 0.9, "{name}: {last}, {goodput}");
    }
}

#[test]
fn an_idle_service_raises_no_limit() {
    for (name, numbers) in algorithms() {
        let (_, limited) = changing(numbers, &STEADY, |_| 0.1);
        let highest = limited.limits(0, END).max().unwrap();
        assert!(highest <= 2 * numbers.initial, "{name}: {highest}");
    }
}

#[test]
fn no_limit_is_stuck_at_its_minimum_after_an_outage() {
    let slowness = |now: u64| if (3 * SECOND..CHANGE).contains(&now) { 30.0 } else { 1.0 };
    for (name, numbers) in algorithms() {
        let (tally, limited) = changing(numbers, &Scenario { slowness, ..STEADY }, |_| 2.0);
        let lowest = limited.limits(3 * SECOND, CHANGE).min().unwrap();
        let goodput = tally.goodput(CHANGE + 3 * SECOND, END);
        println!("{name:10} lowest {lowest}, goodput 3 s after {goodput:.2}");
        assert!(goodput > 0.9, "{name}: {goodput}");
    }
}

#[test]
fn where_a_limit_begins_does_not_matter() {
    for (name, numbers) in algorithms() {
        for initial in [1, 10_000] {
            let numbers = Numbers { initial, max: 10_000, ..numbers };
            let (tally, _) = changing(numbers, &Scenario { length_ns: 20 * SECOND, ..STEADY }, |_| 2.0);
            let goodput = tally.goodput(10 * SECOND, 20 * SECOND);
            println!("{name:10} from {initial}: {goodput:.2}");
            assert!(goodput > 0.9, "{name} from {initial}: {goodput}");
        }
    }
}

#[test]
fn service_times_that_vary_more_are_borne() {
    for (name, numbers) in algorithms() {
        for load in [|_| 0.8, |_| 2.0, |_| 10.0] as [fn(u64) -> f64; 3] {
            let tally = under(&Scenario { spread: 1.0, ..STEADY }, load, &mut Limited::adaptive(numbers));
            let goodput = tally.goodput(SETTLED, END);
            println!("{name:10} {}x: {:.1} %", load(0), goodput * 100.0);
            assert!(goodput > 0.92 * f64::min(load(0), 1.0), "{name} at {}x: {goodput}", load(0));
        }
    }
}

#[test]
fn critical_calls_alone_are_limited_too() {
    let sources = [Source { class: Criticality::Critical, level: 50, load: |_| 5.0 }];
    for (name, numbers) in algorithms() {
        let tally = run(&Scenario { sources: &sources, ..STEADY }, &mut Limited::adaptive(numbers)).remove(0);
        let goodput = tally.goodput(SETTLED, END);
        println!("{name:10} {:.1} %", goodput * 100.0);
        assert!(goodput > 0.92, "{name}: {goodput}");
    }
}

#[test]
fn calls_are_refused_by_class_and_by_level_within_it() {
    let source = |class, level| Source { class, level, load: |_| 0.5 };
    let sources = [
        source(Criticality::Sheddable, 50),
        source(Criticality::Default, 0),
        source(Criticality::Default, 99),
        source(Criticality::Critical, 50),
    ];
    for (name, numbers) in algorithms() {
        let tallies = run(&Scenario { sources: &sources, ..STEADY }, &mut Limited::adaptive(numbers));
        let served: Vec<f64> = tallies.iter().map(|tally| tally.served(SETTLED, END)).collect();
        println!("{name:10} sheddable, default 0, default 99, critical: {served:.3?}");
        assert!(served.is_sorted() && served[3] > 0.99 && served[0] < 0.1, "{name}: {served:?}");
    }
}

#[test]
fn critical_calls_are_served_under_a_spike_of_sheddable_ones() {
    let spike = |now: u64| if now < CHANGE { 0.0 } else { 12.0 };
    for critical in [|_| 0.5, |_| 0.65, |_| 0.8] as [fn(u64) -> f64; 3] {
        let sources = [
            Source { class: Criticality::Critical, level: 99, load: critical },
            Source { class: Criticality::Sheddable, level: 99, load: spike },
        ];
        let scenario = Scenario { sources: &sources, length_ns: CHANGE + 10 * SECOND, ..STEADY };
        for (name, numbers) in algorithms() {
            let mut limited = Limited::adaptive(numbers);
            let tallies = run(&scenario, &mut limited);
            let served = tallies[0].served(CHANGE, scenario.length_ns);
            let goodput: f64 = tallies.iter().map(|tally| tally.goodput(CHANGE, scenario.length_ns)).sum();
            println!(
                "{name:10} critical {} x: {:.2} % of them served, goodput {:.1} %",
                critical(0),
                served * 100.0,
                goodput * 100.0
            );
            assert!(served >= 0.994, "{name}: {served} of the critical calls at {} x", critical(0));
            assert!(goodput >= 0.85, "{name}: {goodput} at {} x", critical(0));
        }
    }
}

#[test]
fn the_systems_gate_keeps_the_cpu_at_its_threshold() {
    for load in [
        |now| if now < CHANGE { 0.5 } else { 1.4 },
        |now| if now < CHANGE { 0.5 } else { 2.0 },
        |now| if now < CHANGE { 0.5 } else { 10.0 },
    ] as [fn(u64) -> f64; 3]
    {
        let scenario = Scenario { notices: true, length_ns: 5 * CHANGE, ..STEADY };
        let tally = under(&scenario, load, &mut Guarded::default());
        let goodput = [(1, 2), (2, 3), (3, 5)].map(|(from, to)| tally.goodput(from * CHANGE, to * CHANGE));
        println!("system     {} x: 6 s, 6 s, 12 s after the step: {goodput:.2?}", load(CHANGE));
        assert!((0.8..0.95).contains(&goodput[2]), "not the threshold of 0.9 at {} x: {goodput:?}", load(CHANGE));
    }
}
