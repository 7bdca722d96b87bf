//! One segment through several mappings and processes.

mod common;

use common::{MS, SECOND, enter, open, open_with, rules};
use std::os::fd::AsFd;
use tidegate_core::clock::ClockSource;
use tidegate_core::guard::{NotEntered, Outcome, Stage};
use tidegate_core::metrics::instrument::Description;
use tidegate_core::segment::{Segment, SegmentOptions};
use tidegate_core::{ErrorKind, Options, Runtime};

const RULES: &str = r#"{"version":1,"guards":{"g":{
    "rate":[{"limit":10,"burst":6}],"concurrency":{"max":3},"breaker":{"consecutive_failures":4}}}}"#;

fn requests<'a>() -> Description<'a> {
    Description { name: "requests", labels: &[("path", "/")], ..Description::default() }
}

#[test]
fn two_mappings_at_different_addresses_agree() {
    let one = open();
    rules(&one, RULES);
    let two = Runtime::attach(one.segment().file()).unwrap();
    let (in_one, in_two) = (std::ptr::from_ref(one.segment().header()), std::ptr::from_ref(two.segment().header()));
    assert_ne!(in_one as usize, in_two as usize);
    let (a, b) = (one.guard("g").unwrap(), two.guard("g").unwrap());

    // One limit: three in flight, wherever they entered.
    let mut held = [enter(a).unwrap(), enter(b).unwrap(), enter(a).unwrap()];
    assert_eq!(enter(b).unwrap_err(), NotEntered::Refused(Stage::Concurrency));
    held.iter_mut().for_each(|permit| permit.exit(Outcome::Success).unwrap());
    // One bucket: three tokens are left of six.
    for guard in [b, a, b] {
        enter(guard).unwrap().exit(Outcome::Success).unwrap();
    }
    assert_eq!(enter(a).unwrap_err(), NotEntered::Refused(Stage::Rate));
    // One clock.
    two.clock().advance(SECOND).unwrap();
    assert_eq!(one.clock().now(), two.clock().now());
    // One breaker: two failures here, two there.
    for guard in [a, b, a, b] {
        enter(guard).unwrap().exit(Outcome::Failure).unwrap();
    }
    assert_eq!(enter(a).unwrap_err(), NotEntered::Refused(Stage::Breaker));
    assert_eq!(enter(b).unwrap_err(), NotEntered::Refused(Stage::Breaker));
    // One set of figures.
    assert_eq!(a.stats().unwrap(), b.stats().unwrap());
    assert_eq!(a.stats().unwrap().calls, [6, 4, 0, 0, 0, 0]);
    let (c, d) = (one.counter(&requests()).unwrap(), two.counter(&requests()).unwrap());
    c.add(3).unwrap();
    d.add(4).unwrap();
    assert_eq!((c.value().unwrap(), d.value().unwrap()), (7, 7));
    // One set of rules: applied there, in force here.
    rules(&two, r#"{"version":2}"#);
    assert_eq!(one.rules_version(), 2);
    enter(a).unwrap().exit(Outcome::Success).unwrap();
    assert_eq!(one.apply_rules(br#"{"version":1}"#).unwrap_err().kind, ErrorKind::Conflict);
    // Closing one leaves the other.
    assert!(one.close());
    enter(b).unwrap().exit(Outcome::Success).unwrap();
}

#[test]
fn the_same_name_is_the_same_segment() {
    let name = format!("same-{}", std::process::id());
    let options = Options {
        segment: SegmentOptions { name, ..SegmentOptions::default() },
        clock: ClockSource::Virtual(7),
        faults: false,
    };
    let (one, two) = (Runtime::open(&options).unwrap(), Runtime::open(&options).unwrap());
    rules(&one, RULES);
    assert_eq!(two.rules_version(), 1);
    let private = open();
    assert_eq!(private.rules_version(), 0);
}

#[test]
fn strangers_are_refused_with_their_reason() {
    let refusal = |file: &std::fs::File| Segment::attach(file.as_fd()).err().unwrap().message;
    let path = std::env::temp_dir().join(format!("tidegate-not-a-segment-{}", std::process::id()));
    let file = std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    let message = refusal(&file);
    assert!(message.contains("seals") || message.contains("not sealed"), "{message}");
    let spoiled = |spoil: fn(&Segment)| {
        let segment = Segment::create(&SegmentOptions::default()).unwrap();
        spoil(&segment);
        Segment::attach(segment.file()).err().map(|error| error.message).unwrap_or_default()
    };
    use std::sync::atomic::Ordering::Relaxed;
    assert!(spoiled(|s| s.header().magic.store(1, Relaxed)).contains("magic"));
    assert!(spoiled(|s| s.header().layout_version.store(99, Relaxed)).contains("layout version 99"));
    assert!(spoiled(|s| s.header().bytes.store(5, Relaxed)).contains("says 5 bytes"));
    assert!(spoiled(|s| s.header().buckets_at.store(u32::MAX, Relaxed)).contains("outside"));
    assert!(spoiled(|s| s.header().buckets.store(3, Relaxed)).contains("outside"));
}

#[test]
fn a_new_boot_starts_timed_state_afresh_and_keeps_counters() {
    use std::sync::atomic::Ordering::Relaxed;
    let one = open();
    rules(&one, RULES);
    let guard = one.guard("g").unwrap();
    (0..4).for_each(|_| enter(guard).unwrap().exit(Outcome::Failure).unwrap());
    let _held_by_nobody_any_more = enter(one.guard("h").unwrap()).unwrap();
    one.counter(&requests()).unwrap().add(5).unwrap();
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Breaker));

    one.segment().header().boot[0].store(42, Relaxed);
    one.clock().set(5).unwrap();
    let two = Runtime::attach(one.segment().file()).unwrap();
    let guard = two.guard("g").unwrap();
    assert_eq!(guard.stats().unwrap().calls, [0, 4, 0, 0, 0, 0]);
    assert_eq!(two.counter(&requests()).unwrap().value().unwrap(), 5);
    assert_eq!(two.guard("h").unwrap().stats().unwrap().inflight, 0);
    for _ in 0..6 {
        enter(guard).unwrap().exit(Outcome::Success).unwrap();
    }
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Rate), "a full bucket, and no more");
}

#[test]
fn the_virtual_clock_may_jump() {
    let runtime = open();
    rules(&runtime, RULES);
    let guard = runtime.guard("g").unwrap();
    let mut open_calls = [enter(guard).unwrap(), enter(guard).unwrap()];
    runtime.clock().advance(3600 * SECOND).unwrap();
    open_calls.iter_mut().for_each(|permit| permit.exit(Outcome::Failure).unwrap());
    runtime.clock().set(SECOND).unwrap();
    // An hour back: at most a burst is lost, and the limit holds from then on.
    let mut admitted = 0;
    for _ in 0..40 {
        runtime.clock().advance(50 * MS).unwrap();
        if let Ok(mut permit) = enter(guard) {
            permit.exit(Outcome::Success).unwrap();
            admitted += 1;
        }
    }
    assert!((15..=26).contains(&admitted), "two seconds at 10 a second, with at most the burst of 6 more: {admitted}");
    assert_eq!(guard.stats().unwrap().inflight, 0);
}

#[test]
fn a_full_segment_overflows_and_counts() {
    let runtime =
        open_with(SegmentOptions { bytes: 1 << 20, max_threads: 4, max_guards: 50, ..SegmentOptions::default() });
    let overflow = runtime.guard(tidegate_core::runtime::OVERFLOW_GUARD).unwrap();
    for turn in 0..60 {
        enter(runtime.guard(&format!("guard-{turn}")).unwrap()).unwrap().exit(Outcome::Success).unwrap();
    }
    assert_eq!(overflow.stats().unwrap().calls[0], 10);
    for turn in 0..20_000 {
        let value = turn.to_string();
        let what = Description { name: "c", labels: &[("n", &value)], ..Description::default() };
        runtime.counter(&what).unwrap().add(1).unwrap();
    }
    let snapshot = runtime.snapshot().unwrap();
    let series = &snapshot.families["c"].series;
    let lost: u64 = series
        .iter()
        .filter(|(labels, _)| labels.contains("overflow"))
        .map(|(_, value)| match value {
            tidegate_core::metrics::snapshot::Value::Counter(n) => *n,
            _ => 0,
        })
        .sum();
    assert!(series.len() <= 2001);
    assert_eq!(lost, snapshot.overflowed[1], "what found no room was counted in the overflow series");
    assert_eq!(lost + series.len() as u64 - 1, 20_000);
}

#[test]
fn an_attribute_has_one_number_in_every_process() {
    let name = format!("attributes-{}", std::process::id());
    let options =
        || Options { segment: SegmentOptions { name: name.clone(), ..Default::default() }, ..Default::default() };
    let (one, other) = (Runtime::open(&options()).unwrap(), Runtime::open(&options()).unwrap());
    assert_eq!((one.attribute("tenant").unwrap(), one.attribute("region").unwrap()), (1, 2));
    assert_eq!((other.attribute("region").unwrap(), other.attribute("tenant").unwrap()), (2, 1));
    let names = other.attribute_names();
    assert_eq!((names.id("region"), names.id(""), names.id(&"x".repeat(129))), (Some(2), None, None));
    for number in 3..=1023 {
        assert_eq!(names.id(&format!("a{number}")), Some(number));
    }
    assert_eq!(one.attribute("one too many").unwrap_err().kind, ErrorKind::Full);
    assert_eq!(one.attribute("a1023").unwrap(), 1023);
}
