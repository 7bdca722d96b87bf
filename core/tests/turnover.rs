//! A proof by trying it: a million cells of each kind come and go, and leave the segment no fuller. So many by a build without
//! debug assertions (the part `proofs` of `make test`); by one with them fewer, in seconds.

mod common;

use common::{enter, open_with};
use tidegate_core::Runtime;
use tidegate_core::guard::Outcome;
use tidegate_core::metrics::instrument::Description;
use tidegate_core::segment::SegmentOptions;

/// How many of each kind are made and retired.
const TURNS: u64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };

/// The turn after which the segment holds all that it will ever hold.
const SETTLED: u64 = 100;

fn a_guard_comes_and_goes(runtime: &Runtime, turn: u64) {
    let guard = runtime.guard(&format!("guard-{turn}")).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    assert_eq!(guard.stats().unwrap().calls[0], 1);
    guard.retire().unwrap();
}

/// One of a counter, a gauge and a histogram.
fn series_come_and_go(runtime: &Runtime, turn: u64) {
    let value = turn.to_string();
    let labels = [("n", value.as_str())];
    let what = |name| Description { name, labels: &labels, ..Description::default() };
    let counter = runtime.counter(&what("c")).unwrap();
    let gauge = runtime.gauge(&what("g")).unwrap();
    let histogram = runtime.histogram(&what("h")).unwrap();
    counter.add(1).unwrap();
    gauge.add(1.0).unwrap();
    histogram.record(1.0).unwrap();
    assert_eq!((counter.value().unwrap(), gauge.value().unwrap()), (1, 1.0));
    assert_eq!(histogram.values().unwrap().count(), 1);
    counter.retire().unwrap();
    gauge.retire().unwrap();
    histogram.retire().unwrap();
}

/// What comes and goes a million times fills the segment no more than at first.
fn come_and_go(one: fn(&Runtime, u64)) -> Runtime {
    let runtime = open_with(SegmentOptions { bytes: 4 << 20, ..SegmentOptions::default() });
    let mut used = 0;
    for turn in 0..TURNS {
        one(&runtime, turn);
        match turn {
            SETTLED => used = runtime.segment_usage().used_bytes,
            _ if turn > SETTLED => assert_eq!(runtime.segment_usage().used_bytes, used, "turn {turn}"),
            _ => {}
        }
    }
    assert_eq!(runtime.snapshot().unwrap().overflowed, [0; 4]);
    runtime
}

#[test]
fn guards_come_and_go_and_leave_it_no_fuller() {
    let snapshot = come_and_go(a_guard_comes_and_goes).snapshot().unwrap();
    assert_eq!(snapshot.guards.len(), 1, "the one for those that found no cell");
}

#[test]
fn series_come_and_go_and_leave_it_no_fuller() {
    let snapshot = come_and_go(series_come_and_go).snapshot().unwrap();
    assert_eq!(snapshot.families.len(), 0);
}
