//! Swaps, rollbacks and quarantine, with calls in flight.

mod common;

use common::{denies, denies_and_observes, figures_when, host_with, hostile, record};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tidegate_core::policy::{Policy, PolicyHost};
use tidegate_wasm_host::{Cause, Figures, Host, Options, PolicyError, RETIRED_MAX};

fn reason(policy: &dyn Policy) -> Option<u16> {
    policy.decide(&record(0), &[]).0.map(|verdict| verdict.reason)
}

/// When so many retired generations are still alive.
fn figures(host: &Host, retired_alive: u64) -> Figures {
    figures_when(host, |figures| figures.retired_alive == retired_alive)
}

fn load(host: &Host, wasm: &[u8]) -> u64 {
    host.load("p", wasm, &Options::default()).expect("a good module")
}

#[test]
fn a_swap_is_seen_by_the_next_call_of_the_same_handle() {
    let (host, policy) = host_with(&denies(1));
    assert_eq!((reason(&*policy), host.generation("p")), (Some(1), Ok(1)));
    assert_eq!(load(&host, &denies(2)), 2);
    assert_eq!((reason(&*policy), host.generation("p")), (Some(2), Ok(2)));
    assert_eq!(figures(&host, 0).calls, [0, 2, 0, 0]);
}

#[test]
fn a_rollback_goes_to_the_last_one_and_no_further() {
    let (host, policy) = host_with(&denies(1));
    let nothing = Err(PolicyError::NothingToRollBackTo { name: "p".into() });
    assert_eq!(host.rollback("p"), nothing);
    load(&host, &denies(2));
    load(&host, &denies(3));
    assert_eq!(host.rollback("p"), Ok(2));
    assert_eq!((reason(&*policy), host.generation("p")), (Some(2), Ok(2)));
    assert_eq!(host.rollback("p"), nothing);
    assert_eq!(load(&host, &denies(4)), 4);
    assert_eq!(host.rollback("p"), Ok(2));
    assert_eq!(reason(&*policy), Some(2));
}

#[test]
fn an_unloaded_policy_gives_no_answer_and_a_new_one_starts_afresh() {
    let (host, policy) = host_with(&denies(1));
    let epoch = host.epoch();
    host.unload("p").expect("loaded");
    assert_ne!(host.epoch(), epoch);
    assert!(host.find("p").is_none());
    assert_eq!(policy.decide(&record(0), &[]), (None, 0));
    assert_eq!(host.unload("p"), Err(PolicyError::NotLoaded { name: "p".into() }));
    assert_eq!(load(&host, &denies(2)), 1);
    assert_eq!(policy.decide(&record(0), &[]), (None, 0), "the old handle stays dead");
    assert_eq!(reason(&*host.find("p").expect("loaded")), Some(2));
}

#[test]
fn a_call_is_observed_by_the_generation_that_decided_it() {
    let (host, policy) = host_with(&denies_and_observes(1));
    let (_, first) = policy.decide(&record(0), &[]);
    assert_ne!(first, 0);
    load(&host, &denies_and_observes(2));
    load(&host, &denies_and_observes(3));
    figures(&host, 1); // Generation 1 waits for its call.
    policy.observe(first, &record(0), 0, 1_000);
    let after = figures(&host, 0);
    assert_eq!((after.observes, after.late_observes), (1, 0));
    policy.observe(first, &record(0), 0, 1_000);
    assert_eq!(figures(&host, 0).late_observes, 1, "nobody is there to hear it a second time");
}

#[test]
fn a_call_may_end_on_another_thread() {
    let (host, policy) = host_with(&denies_and_observes(1));
    let (_, generation) = policy.decide(&record(0), &[]);
    load(&host, &denies(2));
    figures(&host, 1);
    let ending = std::sync::Arc::clone(&policy);
    let thread = std::thread::spawn(move || ending.observe(generation, &record(0), 1, 5));
    thread.join().expect("no panic");
    figures(&host, 0);
}

#[test]
fn a_call_of_an_unloaded_policy_is_not_told_to_the_next_of_its_name() {
    let (host, old) = host_with(&denies_and_observes(1));
    let (_, token) = old.decide(&record(0), &[]);
    host.unload("p").expect("loaded");
    load(&host, &denies_and_observes(2));
    host.find("p").expect("loaded").observe(token, &record(0), 0, 1);
    let after = figures(&host, 0);
    assert_eq!((after.observes, after.late_observes), (0, 1));
}

#[test]
fn who_does_not_observe_is_not_waited_for() {
    let (host, policy) = host_with(&denies(1));
    assert_eq!(policy.decide(&record(0), &[]).1, 0);
    load(&host, &denies(2));
    load(&host, &denies(3));
    let after = figures_when(&host, |figures| figures.instances == 1);
    assert_eq!((after.retired_alive, after.can_roll_back), (0, true));
}

#[test]
fn lost_calls_hold_a_bounded_number_of_generations() {
    let (host, policy) = host_with(&denies_and_observes(0));
    let mut lost = Vec::new();
    for n in 1..=30 {
        lost.push(policy.decide(&record(0), &[]).1);
        load(&host, &denies_and_observes(n));
    }
    let with_the_kept_one = RETIRED_MAX as u64 + 1;
    let after = figures(&host, with_the_kept_one);
    assert_eq!(after.abandoned, 30 - 1 - RETIRED_MAX as u64);
    lost.iter().for_each(|generation| policy.observe(*generation, &record(0), 0, 1));
    let after = figures(&host, 0);
    assert_eq!(after.late_observes, after.abandoned);
}

#[test]
fn repeated_traps_bring_the_last_good_generation_back() {
    let (host, policy) = host_with(&denies(1));
    load(&host, &hostile("on_demand"));
    let trap = record(1);
    for _ in 0..5 {
        assert_eq!(policy.decide(&trap, &[]).0, None);
    }
    assert_eq!(policy.decide(&trap, &[]).0.map(|verdict| verdict.reason), Some(1));
    let after = figures(&host, 0);
    assert_eq!((after.generation, after.quarantines, after.rollbacks), (1, 1, 1));
    assert_eq!(after.failed(Cause::Trap), 5);
}

#[test]
fn without_an_earlier_generation_there_is_no_answer_until_the_next_load() {
    let (host, policy) = host_with(&hostile("on_demand"));
    (0..5).for_each(|_| assert_eq!(policy.decide(&record(4), &[]).0, None));
    assert_eq!(policy.decide(&record(0), &[]).0, None);
    assert_eq!(host.generation("p"), Ok(0));
    assert_eq!(load(&host, &denies(9)), 2);
    assert_eq!(reason(&*policy), Some(9));
    assert!(!figures(&host, 0).can_roll_back, "a bad generation is not kept");
}

#[test]
fn an_answer_in_between_keeps_a_generation_in_service() {
    let (host, policy) = host_with(&hostile("on_demand"));
    for _ in 0..20 {
        assert_eq!(policy.decide(&record(1), &[]).0, None);
        assert!(policy.decide(&record(0), &[]).0.is_some());
    }
    assert_eq!(host.generation("p"), Ok(1));
}

#[test]
fn but_not_too_many_failures_in_ten_seconds() {
    let host = Host::new();
    let options = Options { strikes_in_window: 10, ..Options::default() };
    host.load("p", &hostile("on_demand"), &options).expect("loads");
    let policy = host.find("p").expect("loaded");
    for _ in 0..10 {
        policy.decide(&record(1), &[]);
        policy.decide(&record(0), &[]);
    }
    assert_eq!(host.generation("p"), Ok(0));
}

/// Four threads call while a fifth swaps: each call is answered by exactly one generation, the one
/// that observes it; and in the end one generation is alive.
#[test]
fn a_storm_of_swaps_loses_no_call() {
    const SWAPS: u64 = 120;
    let modules: Vec<_> = (0..4).map(denies_and_observes).collect();
    let (host, policy) = host_with(&modules[1]);
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let (verdict, generation) = policy.decide(&record(0), &[]);
                    let reason = verdict.expect("answered").reason;
                    assert_eq!(u64::from(reason), generation % 4, "the right generation's answer");
                    policy.observe(generation, &record(0), 0, 1);
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        for n in 2..=SWAPS {
            assert_eq!(load(&host, &modules[n as usize % 4]), n);
            let seen = answered.load(SeqCst);
            while answered.load(SeqCst) < seen + 20 {
                std::thread::yield_now();
            }
        }
        stop.store(true, SeqCst);
    });
    let after = figures_when(&host, |figures| figures.instances == 0); // The threads have ended.
    let calls = answered.load(SeqCst);
    assert_eq!((after.calls, after.failures), ([0, calls, 0, 0], [0; 6]));
    assert_eq!((after.observes + after.late_observes, after.swaps), (calls, SWAPS));
    assert_eq!((after.retired_alive, after.generation), (0, SWAPS));
    assert_eq!((after.late_observes, after.abandoned), (0, 0));
}

/// The same with rollbacks, and with calls that end on another thread.
#[test]
fn rollbacks_lose_no_call_either() {
    let (host, policy) = host_with(&denies_and_observes(1));
    let (sender, receiver) = std::sync::mpsc::sync_channel(64);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20_000 {
                let (verdict, generation) = policy.decide(&record(0), &[]);
                assert!(verdict.is_some());
                sender.send(generation).expect("a receiver");
            }
            drop(sender);
        });
        scope.spawn(|| {
            for generation in receiver {
                policy.observe(generation, &record(0), 0, 1);
            }
        });
        for _ in 0..40 {
            load(&host, &denies_and_observes(2));
            host.rollback("p").expect("there is an earlier one");
        }
    });
    let after = figures(&host, 0);
    assert_eq!((after.calls[1], after.failures), (20_000, [0; 6]));
    assert_eq!((after.observes, after.late_observes), (20_000, 0));
    assert_eq!(after.generation, 1);
}
