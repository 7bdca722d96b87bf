//! What guests keep in the host: shared by threads, and by generations.

mod common;

use common::{guest_with, host_with, record};
use std::sync::Arc;
use tidegate_core::policy::{Action, Attribute, Policy, PolicyHost, Record};
use tidegate_wasm_host::{Host, LOG_LINE_BYTES, Options};

const NAMES: &str = r#"(data (i32.const 20000) "tier") (data (i32.const 20010) "seen")"#;

/// Denies with the value that `(global $answer)`, computed by `decide`, has as its argument.
fn answering(imports: &str, init: &str, answer: &str) -> Vec<u8> {
    let decide = format!("(i64.or (i64.const 1) (i64.shl {answer} (i64.const 32)))");
    guest_with(imports, init, &decide, NAMES)
}

fn argument(policy: &dyn Policy, record: &Record) -> Option<u32> {
    policy.decide(record, &[]).0.map(|verdict| verdict.argument)
}

fn at(now_ns: u64) -> Record {
    Record { now_ns, ..record(0) }
}

const LIMITER: &str = r#"
    (import "tidegate" "limiter" (func $limiter (param i32 i32 i64 i64 i64) (result i32)))
    (import "tidegate" "limiter_acquire" (func $acquire (param i32 i64) (result i32)))"#;

/// Three units at once, one more each second.
fn limited() -> Vec<u8> {
    let init = "(call $limiter (i32.const 20000) (i32.const 4) (i64.const 1) \
                (i64.const 1000000000) (i64.const 3))";
    let acquire = "(i64.extend_i32_s (call $acquire (i32.const 0) (i64.const 1)))";
    answering(LIMITER, init, acquire)
}

#[test]
fn a_limiter_is_exact_over_threads_and_swaps() {
    let (host, policy) = host_with(&limited());
    let take = |policy: &Arc<dyn Policy>| argument(&**policy, &at(7_000_000_000));
    assert_eq!(take(&policy), Some(1));
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| take(&policy)).join().expect("no panic");
        assert_eq!(taken, Some(1));
    });
    host.load("p", &limited(), &Options::default()).expect("loads");
    assert_eq!([take(&policy), take(&policy)], [Some(1), Some(0)]);
    assert_eq!(argument(&*policy, &at(8_000_000_000)), Some(1));
    assert_eq!(argument(&*policy, &at(8_000_000_000)), Some(0));
}

#[test]
fn golden_calls_take_nothing_from_it() {
    let (_host, policy) = host_with(&limited());
    let taken: Vec<_> = (0..4).map(|_| argument(&*policy, &at(1))).collect();
    assert_eq!(taken, [Some(1), Some(1), Some(1), Some(0)]);
}

#[test]
fn a_limiter_that_is_none_grants_nothing() {
    let none = answering(
        LIMITER,
        "(i32.const 0)",
        "(i64.extend_i32_u (i32.eq (i32.const -1) (call $acquire (i32.const 3) (i64.const 1))))",
    );
    assert_eq!(argument(&*host_with(&none).1, &at(1)), Some(1));
}

#[test]
fn numbers_are_kept_for_their_time_and_over_swaps() {
    let imports = r#"(import "tidegate" "kv_incr" (func $incr (param i64 i64 i64) (result i64)))"#;
    let counting = answering(
        imports,
        "(i32.const 0)",
        "(call $incr (i64.load offset=16 (local.get 0)) (i64.const 1) (i64.const 100))",
    );
    let (host, policy) = host_with(&counting);
    assert_eq!(argument(&*policy, &at(1000)), Some(1));
    host.load("p", &counting, &Options::default()).expect("loads");
    assert_eq!(argument(&*policy, &at(1050)), Some(2));
    assert_eq!(argument(&*policy, &at(1100)), Some(1), "the time was over");
    assert_eq!(argument(&*policy, &Record { key_hash: 9, ..at(1100) }), Some(1));
}

#[test]
fn numbers_are_set_and_read() {
    let imports = r#"
        (import "tidegate" "kv_set" (func $set (param i64 i64 i64) (result i32)))
        (import "tidegate" "kv_get" (func $get (param i64 i64) (result i64)))"#;
    let swapping = answering(
        imports,
        "(i32.const 0)",
        "(call $get (i64.const 5) (i64.const 77))
         (drop (call $set (i64.const 5) (i64.load offset=16 (local.get 0)) (i64.const 1000)))",
    );
    let (_host, policy) = host_with(&swapping);
    let answers = [11, 12, 13].map(|key_hash| argument(&*policy, &record(key_hash)));
    assert_eq!(answers, [Some(77), Some(11), Some(12)]);
}

#[test]
fn counters_are_summed_under_the_policy() {
    let imports = r#"
        (import "tidegate" "counter" (func $counter (param i32 i32) (result i32)))
        (import "tidegate" "counter_add" (func $add (param i32 i64)))"#;
    let counting = answering(
        imports,
        "(call $counter (i32.const 20010) (i32.const 4))",
        "(i64.const 0) (call $add (i32.const 0) (i64.const 3))",
    );
    let (host, policy) = host_with(&counting);
    (0..5).for_each(|_| assert_eq!(argument(&*policy, &record(0)), Some(0)));
    let counters = host.figures_of("p").expect("loaded").counters;
    assert_eq!(counters, [("seen".to_string(), 15)]);
}

#[test]
fn names_are_given_out_in_init_alone() {
    let imports = r#"
        (import "tidegate" "attribute" (func $attribute (param i32 i32) (result i32)))
        (import "tidegate" "counter" (func $counter (param i32 i32) (result i32)))"#;
    let late = answering(
        imports,
        "(i32.const 0)",
        "(i64.extend_i32_u (i32.and
            (i32.eq (i32.const -1) (call $attribute (i32.const 20000) (i32.const 4)))
            (i32.eq (i32.const -1) (call $counter (i32.const 20000) (i32.const 4)))))",
    );
    assert_eq!(argument(&*host_with(&late).1, &record(0)), Some(1));
}

#[test]
fn the_clock_is_the_records() {
    let imports = r#"(import "tidegate" "now" (func $now (result i64)))"#;
    let clock = answering(imports, "(i32.const 0)", "(call $now)");
    assert_eq!(argument(&*host_with(&clock).1, &at(123_456)), Some(123_456));
}

#[test]
fn what_a_guest_says_can_be_read() {
    let imports = r#"(import "tidegate" "log" (func $log (param i32 i32 i32)))"#;
    let speaking = answering(
        imports,
        "(i32.const 0)",
        "(i64.const 0)
         (call $log (i32.const 2) (i32.const 20000) (i32.const 4))
         (call $log (i32.const 1) (i32.const 0) (i32.const 60000))",
    );
    let (host, policy) = host_with(&speaking);
    assert_eq!(argument(&*policy, &at(42)), Some(0));
    let lines = host.log("p").expect("loaded");
    let first = &lines[0];
    assert_eq!((first.number, first.level, first.now_ns), (1, 2, 42));
    assert_eq!(first.text, "tier");
    assert_eq!((lines.len(), lines[1].text.chars().count()), (2, LOG_LINE_BYTES));
}

/// Denies with the first byte of the one attribute that it asked for; allows without.
#[test]
fn a_guest_sees_what_it_asked_for() {
    let imports = r#"(import "tidegate" "attribute" (func $attribute (param i32 i32) (result i32)))"#;
    let decide = "(if (result i64) (i32.load offset=52 (local.get 0))
        (then (i64.or (i64.const 1) (i64.shl
          (i64.load8_u (i32.add (local.get 0)
            (i32.load offset=4 (i32.add (local.get 0) (i32.load offset=56 (local.get 0))))))
          (i64.const 32))))
        (else (i64.const 0)))";
    let init = "(i32.lt_s (call $attribute (i32.const 20000) (i32.const 4)) (i32.const 0))";
    let host = Host::new();
    let other = host.attribute_id("other").expect("room");
    let wasm = guest_with(imports, init, decide, NAMES);
    host.load("p", &wasm, &Options::default()).expect("loads");
    let policy = host.find("p").expect("loaded");
    let tier = host.attribute_id("tier").expect("known");
    let decide = |attributes: &[Attribute<'_>]| policy.decide(&record(0), attributes).0.map(|v| (v.action, v.argument));
    let free = Attribute { id: tier, value: b"free" };
    let noise = Attribute { id: other, value: b"noise" };
    assert_eq!(decide(&[noise]), Some((Action::Allow, 0)));
    assert_eq!(decide(&[noise, free]), Some((Action::Deny, u32::from(b'f'))));
    assert_eq!(decide(&[]), Some((Action::Allow, 0)));
    assert_eq!(decide(&[Attribute { id: u32::MAX, ..free }]), Some((Action::Allow, 0)));
}
