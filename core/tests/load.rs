//! Limits that follow the load, on the virtual clock: what the vectors of `concurrency` and `system` do not show.

mod common;

use common::{MS, SECOND, enter, open, rules};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use tidegate_core::guard::handle::Guard;
use tidegate_core::system::gate::Load;
use tidegate_core::{Call, Criticality, NotEntered, Outcome, Permit, Runtime, Stage};

/// Rounds of calls together, so that a guard has served 16 a second of 600 ms each: it bears 10.
fn serve(runtime: &Runtime, guard: &'static Guard) {
    for ms in [100, 600, 600] {
        let permits: Vec<Permit> = (0..10).map(|_| enter(guard).unwrap()).collect();
        runtime.clock().advance(ms * MS).unwrap();
        permits.into_iter().for_each(|mut permit| permit.exit(Outcome::Success).unwrap());
    }
}

fn under_load(system: &str, more: &str) -> (Runtime, &'static Guard) {
    let runtime = open();
    rules(&runtime, &format!(r#"{{"version":1,"guards":{{"g":{{"system":{system}{more}}}}}}}"#));
    let guard = runtime.guard("g").unwrap();
    serve(&runtime, guard);
    runtime.set_load(Load { cpu: 910, memory: 0 }).unwrap();
    (runtime, guard)
}

fn fill(guard: &'static Guard, call: &Call<'_>) -> (usize, NotEntered) {
    let mut entered = 0;
    loop {
        match guard.enter(call, &mut Permit::default()) {
            Ok(()) => entered += 1,
            Err(why) => return (entered, why),
        }
    }
}

#[test]
fn a_storm_finds_exactly_as_many_places_as_are_borne() {
    let (_runtime, guard) = under_load(r#"{"cpu":0.9}"#, r#","concurrency":{"max":500}"#);
    let (admitted, start) = (AtomicUsize::new(0), Barrier::new(8));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let (entered, why) = fill(guard, &Call::PLAIN);
                assert_eq!(why, NotEntered::Refused(Stage::System));
                admitted.fetch_add(entered, Relaxed);
            });
        }
    });
    let stats = guard.stats().unwrap();
    assert_eq!((admitted.into_inner(), stats.inflight, stats.rejected[6]), (10, 10, 8));
}

#[test]
fn the_smaller_of_both_bounds_refuses_by_its_own_name() {
    let (_runtime, guard) = under_load(r#"{"cpu":0.9}"#, r#","concurrency":{"max":10,"mode":"shadow"}"#);
    assert_eq!(fill(guard, &Call::PLAIN), (10, NotEntered::Refused(Stage::System)));
    let (runtime, guard) = under_load(r#"{"cpu":0.9}"#, r#","concurrency":{"max":10}"#);
    rules(&runtime, r#"{"version":2,"guards":{"g":{"system":{"cpu":0.9},"concurrency":{"max":9}}}}"#);
    assert_eq!(fill(guard, &Call::PLAIN), (9, NotEntered::Refused(Stage::Concurrency)));
}

#[test]
fn protection_in_shadow_mode_counts_and_lets_pass() {
    let (_runtime, guard) = under_load(r#"{"cpu":0.9,"mode":"shadow"}"#, r#","concurrency":{"max":13}"#);
    assert_eq!(fill(guard, &Call::PLAIN), (13, NotEntered::Refused(Stage::Concurrency)));
    let stats = guard.stats().unwrap();
    assert_eq!((stats.shadow_rejected[6], stats.rejected[6], stats.rejected[7]), (4, 0, 1), "three of them passed");
}

#[test]
fn where_the_limit_sheds_the_protection_does_too() {
    let (_runtime, guard) =
        under_load(r#"{"cpu":0.9}"#, r#","concurrency":{"algorithm":"vegas","min":500,"initial":500}"#);
    let least = Call { criticality: Criticality::Sheddable, level: 0, ..Call::PLAIN };
    assert_eq!(fill(guard, &least), (8, NotEntered::Refused(Stage::System)), "seven eighths of 10");
    let critical = Call { criticality: Criticality::Critical, ..Call::PLAIN };
    assert_eq!(fill(guard, &critical), (2, NotEntered::Refused(Stage::System)));
}

#[test]
fn a_load_of_ten_seconds_ago_is_none() {
    let (runtime, guard) = under_load(r#"{"cpu":0.9}"#, "");
    assert_eq!(fill(guard, &Call::PLAIN).0, 10);
    assert_eq!(runtime.snapshot().unwrap().load.cpu, 910);
    runtime.clock().advance(12 * SECOND).unwrap();
    enter(guard).unwrap();
    assert_eq!(runtime.snapshot().unwrap().load, Load::default());
}

#[test]
fn a_guard_that_comes_again_begins_again() {
    let runtime = open();
    rules(&runtime, r#"{"version":1,"defaults":{"concurrency":{"algorithm":"aimd","initial":1}}}"#);
    let limit = |guard: &Guard| guard.stats().unwrap().limit;
    let grow = |guard: &'static Guard| {
        for _ in 0..8 {
            let mut permit = enter(guard).unwrap();
            runtime.clock().advance(5 * MS).unwrap();
            permit.exit(Outcome::Success).unwrap();
        }
        assert_eq!(limit(guard), 2);
    };
    let guard = runtime.guard("g").unwrap();
    grow(guard);
    guard.retire().unwrap();
    let again = runtime.guard("g").unwrap();
    assert_eq!(limit(again), 1);
    runtime.clock().advance(SECOND).unwrap();
    grow(again);
    runtime.reset_timed_state().unwrap();
    assert_eq!(limit(again), 1);
}

#[test]
fn somebody_should_sample_while_rules_have_the_stage() {
    let runtime = open();
    assert!(!runtime.wants_load().unwrap());
    for (version, guard, wanted) in [
        (1, r#"{"system":{"memory":0.9}}"#, true),
        (2, r#"{"system":{"memory":0.9,"mode":"off"}}"#, false),
        (3, r#"{"system":{"cpu":0.9,"mode":"shadow"}}"#, true),
        (4, "{}", false),
    ] {
        rules(&runtime, &format!(r#"{{"version":{version},"guards":{{"g":{guard}}}}}"#));
        assert_eq!((runtime.wants_load().unwrap(), runtime.wants_load().unwrap()), (wanted, wanted), "{guard}");
    }
    rules(&runtime, r#"{"version":5,"defaults":{"system":{"cpu":1}}}"#);
    assert!(runtime.wants_load().unwrap());
}

#[test]
fn what_is_sampled_stands_in_the_segment() {
    let runtime = open();
    assert_eq!(runtime.snapshot().unwrap().load, Load::default());
    let load = runtime.sample_load().unwrap();
    assert!((1..=1000).contains(&load.memory) && load.cpu <= 1000, "{load:?}");
    assert_eq!(runtime.snapshot().unwrap().load, load);
    runtime.close();
    assert!(runtime.sample_load().is_err() && runtime.set_load(load).is_err() && runtime.wants_load().is_err());
}
