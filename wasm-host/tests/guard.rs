//! Policies within a guard: the core's pipeline asks, the host answers, whatever goes wrong in between.

mod common;

use common::{denies, denies_and_observes, figures_when, guest, guest_with, hostile};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use tidegate_core::guard::handle::Guard;
use tidegate_core::{Call, NotEntered, Options, Outcome, Permit, Runtime, Stage};
use tidegate_wasm_host::{Cause, Host};

fn guarded(on_fail: &str) -> (Runtime, Arc<Host>, &'static Guard) {
    let runtime = Runtime::open(&Options::default()).expect("a runtime");
    let host = Host::new();
    runtime.set_policy_host(Arc::clone(&host) as _);
    let policy = format!(r#"{{"name": "p", "on_fail": "{on_fail}"}}"#);
    let rules = format!(r#"{{"schema": 1, "version": 1, "guards": {{"g": {{"policy": {policy}}}}}}}"#);
    runtime.apply_rules(rules.as_bytes()).expect("rules");
    let guard = runtime.guard("g").expect("a guard");
    (runtime, host, guard)
}

fn load(host: &Host, wasm: &[u8]) {
    host.load("p", wasm, &Default::default()).expect("a good module");
}

fn enter(guard: &'static Guard, key: &[u8]) -> (Result<(), NotEntered>, Permit) {
    let mut permit = Permit::default();
    let call = Call { key, ..Call::default() };
    (guard.enter(&call, &mut permit).map(drop), permit)
}

const REFUSED: Result<(), NotEntered> = Err(NotEntered::Refused(Stage::Policy));

#[test]
fn a_verdict_is_obeyed() {
    let (_runtime, host, guard) = guarded("allow");
    load(&host, &denies(7));
    let (entered, permit) = enter(guard, b"");
    assert_eq!((entered, permit.reason()), (REFUSED, 7));
    load(&host, &guest("(i64.const 0x2a00000003)"));
    let (entered, mut permit) = enter(guard, b"");
    assert_eq!((entered, permit.route()), (Ok(()), 42));
    permit.exit(Outcome::Success).expect("entered");
    load(&host, &guest("(i64.const 0x2a00000002)"));
    let (entered, mut permit) = enter(guard, b"");
    assert_eq!((entered, permit.wait_ns()), (Ok(()), 42_000));
    permit.exit(Outcome::Success).expect("entered");
}

#[test]
fn without_an_answer_on_fail_decides() {
    for (on_fail, expected) in [("allow", Ok(())), ("deny", REFUSED)] {
        let (_runtime, host, guard) = guarded(on_fail);
        assert_eq!(enter(guard, b"").0, expected, "nothing is loaded");
        // Traps unless the call has no key.
        load(
            &host,
            &guest(
                "(if (i64.ne (i64.load offset=16 (local.get 0)) (i64.const 0))
            (then (if (i64.ne (i64.load offset=16 (local.get 0)) (i64.const -1))
              (then (if (i64.ne (i64.load offset=16 (local.get 0)) (i64.const 0x8000000000000000))
                (then unreachable)))))) (i64.const 1)",
            ),
        );
        assert_eq!(enter(guard, b"").0, REFUSED, "answered");
        assert_eq!(enter(guard, b"key").0, expected, "trapped");
        assert_eq!(host.figures_of("p").expect("loaded").failed(Cause::Trap), 1);
        host.unload("p").expect("loaded");
        assert_eq!(enter(guard, b"").0, expected, "unloaded");
    }
}

#[test]
fn a_bad_module_changes_nothing() {
    let (_runtime, host, guard) = guarded("allow");
    load(&host, &denies(1));
    for name in ["loop_in_decide", "trap_in_init", "imports_wasi"] {
        assert!(host.load("p", &hostile(name), &Default::default()).is_err());
        assert_eq!(enter(guard, b"").0, REFUSED);
    }
}

/// What a guest heard of is the outcome, plus one in the upper half, by counters of its own.
#[test]
fn a_guest_hears_how_each_call_ended() {
    let imports = r#"(import "tidegate" "counter" (func $counter (param i32 i32) (result i32)))
        (import "tidegate" "counter_add" (func $add (param i32 i64)))"#;
    let more = r#"(data (i32.const 20000) "ends") (func (export "tg_policy_observe") (param i32 i32 i64)
        (call $add (i32.const 0) (i64.add (i64.extend_i32_u (local.get 1)) (i64.const 1000))))"#;
    let init = "(call $counter (i32.const 20000) (i32.const 4))";
    let (_runtime, host, guard) = guarded("allow");
    load(&host, &guest_with(imports, init, "(i64.const 0)", more));
    let ends = || host.figures_of("p").expect("loaded").counters.first().map_or(0, |counter| counter.1);
    for (outcome, number) in [(Outcome::Success, 0), (Outcome::Timeout, 2), (Outcome::Ignored, 5)] {
        let before = ends();
        let (entered, mut permit) = enter(guard, b"");
        assert_eq!((entered, ends()), (Ok(()), before));
        permit.exit(outcome).expect("entered");
        assert_eq!(ends(), before + 1000 + number);
    }
}

/// Two threads enter and exit while generations are swapped: none refused for it, none lost.
#[test]
fn a_swap_costs_no_call() {
    let (_runtime, host, guard) = guarded("deny");
    let allows = |observes: bool| {
        let observe = if observes { r#"(func (export "tg_policy_observe") (param i32 i32 i64))"# } else { "" };
        guest_with("", "(i32.const 0)", "(i64.const 0)", observe)
    };
    load(&host, &allows(true));
    let (stop, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let (entered, mut permit) = enter(guard, b"key");
                    assert_eq!(entered, Ok(()));
                    permit.exit(Outcome::Success).expect("entered");
                    calls.fetch_add(1, SeqCst);
                }
            });
        }
        for n in 0..40 {
            load(&host, &allows(n % 2 == 0));
            let seen = calls.load(SeqCst);
            while calls.load(SeqCst) < seen + 50 {
                std::thread::yield_now();
            }
        }
        stop.store(true, SeqCst);
    });
    let after = figures_when(&host, |figures| figures.retired_alive == 0);
    assert_eq!((after.calls, after.failures), ([calls.load(SeqCst), 0, 0, 0], [0; 6]));
    assert_eq!((after.late_observes, after.abandoned), (0, 0));
}

#[test]
fn a_refused_call_is_observed_too() {
    let (_runtime, host, guard) = guarded("allow");
    load(&host, &denies_and_observes(1));
    assert_eq!(enter(guard, b"").0, REFUSED);
    load(&host, &denies_and_observes(2));
    load(&host, &denies_and_observes(3));
    let after = figures_when(&host, |figures| figures.retired_alive == 0);
    assert_eq!((after.observes, after.late_observes, after.calls[1]), (1, 0, 1));
}
