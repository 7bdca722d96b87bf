//! Threads that meet at one breaker: for each criterion, how far from the rule it opens. Docs: docs/breaker.md, "Bounds of error".

mod common;

use common::{MS, SECOND, enter, open, rules};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::thread;
use tidegate_core::Runtime;
use tidegate_core::breaker::recovery::{ONE, share};
use tidegate_core::breaker::state::{State, Timing};
use tidegate_core::breaker::transition::Forced;
use tidegate_core::guard::Outcome;
use tidegate_core::guard::handle::Guard;

const THREADS: u64 = 4;

fn guarded(breaker: &str) -> (Runtime, &'static Guard) {
    let runtime = open();
    rules(&runtime, &format!(r#"{{"version":1,"guards":{{"g":{{"breaker":{breaker}}}}}}}"#));
    let guard = runtime.guard("g").unwrap();
    (runtime, guard)
}

/// Every thread calls until it is refused; tells how many calls ended.
fn calls_until_it_opens(guard: &'static Guard, outcome: Outcome) -> u64 {
    let storm = || {
        while let Ok(mut permit) = enter(guard) {
            permit.exit(outcome).unwrap();
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(storm))));
    let stats = guard.stats().unwrap();
    assert_eq!((stats.breaker, stats.inflight), (Some(State::Open), 0));
    assert_eq!(stats.breaker_transitions[State::Open as usize], 1, "it opens once");
    stats.calls.iter().sum()
}

/// Opens after `wanted` calls, or late by so many a thread.
fn opens_after(wanted: u64, late: u64, breaker: &str, outcome: Outcome) {
    for _ in 0..20 {
        let (_runtime, guard) = guarded(breaker);
        let calls = calls_until_it_opens(guard, outcome);
        assert!((wanted..=wanted + late * THREADS).contains(&calls), "{calls} calls: {breaker}");
    }
}

/// Only those that were out already end after the one that opens it.
#[test]
fn failures_in_a_row_are_counted_exactly() {
    opens_after(1000, 1, r#"{"consecutive_failures":1000}"#, Outcome::Failure);
}

/// A sum may miss one call a thread besides.
#[test]
fn a_window_opens_late_by_two_calls_a_thread_at_most() {
    opens_after(1000, 2, r#"{"error_count":1000}"#, Outcome::Overloaded);
    opens_after(1000, 2, r#"{"error_ratio":0.5,"min_calls":1000}"#, Outcome::Failure);
    opens_after(1000, 2, r#"{"slow":{"over":"1s","ratio":0.5},"min_calls":1000}"#, Outcome::Timeout);
}

#[test]
fn a_window_of_calls_opens_late_by_two_calls_a_thread_at_most() {
    opens_after(1000, 2, r#"{"error_ratio":0.5,"min_calls":1000,"window_calls":1000}"#, Outcome::Failure);
    opens_after(300, 2, r#"{"error_count":300,"min_calls":1,"window_calls":1000}"#, Outcome::Failure);
}

#[test]
fn good_calls_in_any_number_open_nothing() {
    let (_runtime, guard) =
        guarded(r#"{"error_ratio":0.5,"error_count":9,"consecutive_failures":9,"min_calls":10,"window_calls":100}"#);
    let storm = || {
        for call in 0..20_000 {
            let outcome = if call % 1000 == 0 { Outcome::Failure } else { Outcome::Success };
            enter(guard).unwrap().exit(outcome).unwrap();
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(storm))));
    assert_eq!(guard.stats().unwrap().breaker, Some(State::Closed));
}

#[test]
fn a_recovering_one_admits_the_share_of_the_moment_to_within_a_call() {
    let (runtime, guard) = guarded(r#"{"consecutive_failures":1,"open_for":"1s","recover_over":"16s"}"#);
    enter(guard).unwrap().exit(Outcome::Failure).unwrap();
    runtime.clock().advance(SECOND + MS).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    runtime.clock().advance(4 * SECOND).unwrap();
    let admitted = AtomicU64::new(0);
    let storm = || {
        for mut permit in (0..5000).filter_map(|_| enter(guard).ok()) {
            admitted.fetch_add(1, Relaxed);
            permit.exit(Outcome::Success).unwrap();
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(storm))));
    let rule = Timing { recover_over_ns: 16 * SECOND, first_share: ONE / 16, ..Timing::PLAIN };
    // The ramp begins up to 66 µs late.
    let calls = 5000 * THREADS;
    let [least, most] = [70_000, 0].map(|late| share(&rule, 12 * SECOND + late) * calls / ONE);
    assert!((least - 1..=most + 1).contains(&admitted.load(Relaxed)), "{admitted:?}, want {least} to {most}");
    assert_eq!(guard.stats().unwrap().breaker, Some(State::Recovering));
}

/// No more probes pass than there are, whoever asks, and whoever is told otherwise meanwhile.
#[test]
fn half_open_admits_its_probes_and_no_more() {
    let (runtime, guard) = guarded(r#"{"consecutive_failures":1,"open_for":"1s","probes":100,"probe_timeout":"1h"}"#);
    for round in 1..20 {
        enter(guard).unwrap().exit(Outcome::Failure).unwrap();
        runtime.clock().advance(SECOND + MS).unwrap();
        let probes = AtomicU64::new(0);
        let storm = || {
            // None of them ends.
            let passed = (0..1000).filter(|_| enter(guard).is_ok()).count();
            probes.fetch_add(passed as u64, Relaxed);
        };
        thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(storm))));
        assert_eq!(probes.load(Relaxed), 100, "round {round}");
        guard.reset_breaker().unwrap();
    }
}

/// Calls come, fail and are probes while an operator sets the breaker and others change the rules.
#[test]
fn forced_amid_everything_it_ends_as_it_was_set_last() {
    let (runtime, guard) = guarded(r#"{"consecutive_failures":2,"open_for":"1ms","recover_over":"1ms"}"#);
    let storm = || {
        for call in 0..3000 {
            if let Ok(mut permit) = enter(guard) {
                permit.exit(if call % 3 == 0 { Outcome::Success } else { Outcome::Failure }).unwrap();
            }
        }
    };
    let operator = || {
        for turn in 0..300 {
            runtime.clock().advance(MS / 2).unwrap();
            match turn % 4 {
                0 => guard.force_breaker(Forced::Open).unwrap(),
                1 => guard.force_breaker(Forced::Disabled).unwrap(),
                2 => guard.force_breaker(Forced::Closed).unwrap(),
                _ => guard.reset_breaker().unwrap(),
            }
        }
        guard.force_breaker(Forced::Open).unwrap();
    };
    let ruler = || {
        for version in 2..60 {
            let breaker = match version % 3 {
                0 => "",
                1 => r#""breaker":{"error_ratio":0.5,"min_calls":2,"window_calls":4,"open_for":"1ms"}"#,
                _ => r#""breaker":{"slow":{"over":"1ms","ratio":0.5},"min_calls":2,"open_for":"1ms"}"#,
            };
            rules(&runtime, &format!(r#"{{"version":{version},"guards":{{"g":{{{breaker}}}}}}}"#));
        }
    };
    thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(storm)));
        scope.spawn(operator);
        scope.spawn(ruler);
    });
    assert!(enter(guard).is_err(), "held open");
    let stats = guard.stats().unwrap();
    assert_eq!((stats.breaker, stats.inflight), (Some(State::ForcedOpen), 0));
    guard.reset_breaker().unwrap();
    rules(&runtime, r#"{"version":99,"guards":{"g":{"breaker":{"slow":{"over":"1s","ratio":0.1},"min_calls":1}}}}"#);
    runtime.clock().advance(10 * SECOND).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    runtime.clock().advance(10 * SECOND).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    assert_eq!(guard.stats().unwrap().breaker, Some(State::Closed), "no call that ended counts as running");
}
