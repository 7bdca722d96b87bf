//! The guard pipeline on the virtual clock.

mod common;

use common::{MS, SECOND, enter, open, rules};
use tidegate_core::guard::{Call, NotEntered, Outcome, Stage};
use tidegate_core::{ErrorKind, Permit};

#[test]
fn a_guard_without_rules_lets_pass_and_counts() {
    let runtime = open();
    let guard = runtime.guard("plain").unwrap();
    for outcome in Outcome::ALL {
        let mut permit = enter(guard).unwrap();
        runtime.clock().advance(MS).unwrap();
        permit.exit(outcome).unwrap();
    }
    let stats = guard.stats().unwrap();
    assert_eq!(stats.calls, [1; 6]);
    assert_eq!(stats.inflight, 0);
    assert_eq!(stats.latency.count(), 5, "a cancelled call has no duration");
    let p50 = stats.latency.quantile(0.5).unwrap();
    assert!((p50 / 1e-3 - 1.0).abs() < 0.023, "{p50}");
}

#[test]
fn stages_refuse_in_order_and_give_back() {
    let runtime = open();
    let doc = r#"{"version":1,"guards":{"g":{
        "concurrency":{"max":2},
        "rate":[{"limit":10,"burst":3},{"limit":1,"per":"1h","burst":4}]}}}"#;
    rules(&runtime, doc);
    let guard = runtime.guard("g").unwrap();
    let mut first = enter(guard).unwrap();
    let mut second = enter(guard).unwrap();
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Concurrency));
    first.exit(Outcome::Success).unwrap();
    second.exit(Outcome::Success).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    let mut permit = Permit::default();
    assert_eq!(guard.enter(&Call::default(), &mut permit), Err(NotEntered::Refused(Stage::Rate)));
    assert_eq!((permit.stage(), permit.reason(), permit.retry_after_ns()), (8, 0, 100 * MS));
    runtime.clock().advance(SECOND).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    assert_eq!(guard.enter(&Call::default(), &mut permit), Err(NotEntered::Refused(Stage::Rate)));
    assert_eq!(permit.reason(), 1, "the hourly limit");
    let stats = guard.stats().unwrap();
    assert_eq!((stats.inflight, stats.rejected[7], stats.rejected[8]), (0, 1, 2));
    // What the second limit refused, the first got back.
    let cost_three = Call { cost: 3, ..Call::default() };
    runtime.clock().advance(3600 * 4 * SECOND).unwrap();
    assert_eq!(guard.enter(&cost_three, &mut permit), Ok(()));
}

/// Whoever is refused has taken nothing, whichever of them gives back first.
#[test]
fn a_storm_of_refused_calls_leaves_no_debt() {
    let waits = r#"{"limit":10,"burst":1,"max_wait":"1m"},{"algorithm":"pacing","limit":10,"max_wait":"1m"}"#;
    let late = Call { timeout_ns: 50 * MS, ..Call::default() };
    let strict = r#"{"limit":10,"burst":2,"max_wait":"1m"},{"limit":1,"per":"1h","key":"user"}"#;
    for (rates, call) in [(waits, late), (strict, Call { key: b"hot", ..Call::default() })] {
        let runtime = open();
        rules(&runtime, &format!(r#"{{"version":1,"guards":{{"g":{{"rate":[{rates}]}}}}}}"#));
        let guard = runtime.guard("g").unwrap();
        let mut first = Permit::default();
        assert_eq!(guard.enter(&call, &mut first), Ok(()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut permit = Permit::default();
                    for _ in 0..20_000 {
                        assert_eq!(guard.enter(&call, &mut permit), Err(NotEntered::Refused(Stage::Rate)));
                    }
                });
            }
        });
        let mut next = Permit::default();
        assert_eq!(guard.enter(&Call { key: b"other", ..Call::default() }, &mut next), Ok(()), "{rates}");
        assert_eq!(next.wait_ns(), if rates == waits { 100 * MS } else { 0 }, "{rates}");
    }
}

#[test]
fn the_breaker_opens_probes_and_closes() {
    let runtime = open();
    let doc = r#"{"version":1,"guards":{"g":{"breaker":
        {"error_ratio":0.5,"min_calls":10,"window":"10s","open_for":"5s","probes":2}}}}"#;
    rules(&runtime, doc);
    let guard = runtime.guard("g").unwrap();
    for turn in 0..10 {
        let outcome = if turn % 2 == 0 { Outcome::Failure } else { Outcome::Success };
        enter(guard).unwrap().exit(outcome).unwrap();
    }
    assert_eq!(
        enter(guard).unwrap_err(),
        NotEntered::Refused(Stage::Breaker),
        "the tenth call decided, though it succeeded"
    );
    runtime.clock().advance(5 * SECOND + MS).unwrap();
    let mut probes = [enter(guard).unwrap(), enter(guard).unwrap()];
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Breaker));
    probes.iter_mut().for_each(|probe| probe.exit(Outcome::Success).unwrap());
    enter(guard).unwrap().exit(Outcome::Failure).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
}

#[test]
fn failures_in_a_row_open_it() {
    let runtime = open();
    rules(&runtime, r#"{"version":1,"guards":{"g":{"breaker":{"consecutive_failures":3}}}}"#);
    let guard = runtime.guard("g").unwrap();
    for outcome in
        [Outcome::Failure, Outcome::Timeout, Outcome::Success, Outcome::Failure, Outcome::Ignored, Outcome::Overloaded]
    {
        enter(guard).unwrap().exit(outcome).unwrap();
    }
    enter(guard).unwrap().exit(Outcome::Failure).unwrap();
    assert!(enter(guard).is_err());
}

#[test]
fn shadow_counts_and_lets_pass() {
    let runtime = open();
    let doc = r#"{"version":1,"guards":{"g":{
        "concurrency":{"max":1,"mode":"shadow"},
        "rate":[{"limit":1,"burst":1,"mode":"shadow"}],
        "breaker":{"consecutive_failures":1,"mode":"shadow"}}}}"#;
    rules(&runtime, doc);
    let guard = runtime.guard("g").unwrap();
    let mut first = enter(guard).unwrap();
    let mut second = enter(guard).unwrap();
    first.exit(Outcome::Failure).unwrap();
    second.exit(Outcome::Success).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    let stats = guard.stats().unwrap();
    assert_eq!(stats.rejected, [0; 9]);
    assert_eq!((stats.shadow_rejected[3], stats.shadow_rejected[7], stats.shadow_rejected[8]), (1, 1, 2));
}

#[test]
fn deadlines() {
    let runtime = open();
    rules(&runtime, r#"{"version":1,"guards":{"g":{"timeout":"800ms"}}}"#);
    let guard = runtime.guard("g").unwrap();
    let now = runtime.clock().now();
    assert_eq!(enter(guard).unwrap().deadline_ns(), now + 800 * MS);
    let mut permit = Permit::default();
    guard.enter(&Call { timeout_ns: 5 * MS, ..Call::default() }, &mut permit).unwrap();
    assert_eq!(permit.deadline_ns(), now + 5 * MS);
    let late = Call { deadline_ns: now, ..Call::default() };
    assert_eq!(guard.enter(&late, &mut permit), Err(NotEntered::Refused(Stage::Deadline)));
}

#[test]
fn one_in_sixteen_of_the_late_passes_whatever_other_stages_there_are() {
    let others = [
        "",
        r#","faults":[{"abort":"failure","share":0.000001}]"#,
        r#","breaker":{"consecutive_failures":9},"throttle":{}"#,
    ];
    for (index, others) in others.iter().enumerate() {
        let runtime = open();
        rules(&runtime, &format!(r#"{{"version":1,"guards":{{"g":{{"deadline":{{"usual":0.5}}{others}}}}}}}"#));
        let guard = runtime.guard("g").unwrap();
        for _ in 0..100 {
            let mut permit = enter(guard).unwrap();
            runtime.clock().advance(100 * MS).unwrap();
            permit.exit(Outcome::Success).unwrap();
        }
        if index == 2 {
            // It lets all pass, and is not closed.
            guard.force_breaker(tidegate_core::breaker::transition::Forced::Disabled).unwrap();
        }
        let late = Call { timeout_ns: MS, ..Call::default() };
        let pass = |_: &u32| guard.enter(&late, &mut Permit::default()).is_ok();
        assert_eq!((0..160).filter(pass).count(), 10, "with {others}");
    }
}

#[test]
fn misused_permits_change_nothing() {
    let runtime = open();
    rules(&runtime, r#"{"version":1,"guards":{"g":{"concurrency":{"max":1}}}}"#);
    let guard = runtime.guard("g").unwrap();
    let mut permit = enter(guard).unwrap();
    permit.exit(Outcome::Success).unwrap();
    assert_eq!(permit.exit(Outcome::Success), Err(ErrorKind::NotHeld));
    assert_eq!(Permit::default().exit(Outcome::Success), Err(ErrorKind::NotHeld));
    let mut held = enter(guard).unwrap();
    let mut refused = Permit::default();
    assert!(guard.enter(&Call::default(), &mut refused).is_err());
    assert_eq!(refused.exit(Outcome::Success), Err(ErrorKind::NotHeld));
    assert_eq!(guard.stats().unwrap().inflight, 1);
    held.exit(Outcome::Success).unwrap();
    assert_eq!(guard.stats().unwrap().misused_exits, 2);
}

#[test]
fn max_hold_takes_a_lost_permit_back() {
    let runtime = open();
    rules(&runtime, r#"{"version":1,"guards":{"g":{"concurrency":{"max":1},"max_hold":"1s"}}}"#);
    let guard = runtime.guard("g").unwrap();
    let mut lost = enter(guard).unwrap();
    runtime.clock().advance(999 * MS).unwrap();
    assert!(enter(guard).is_err());
    runtime.clock().advance(1001 * MS).unwrap();
    let mut next = enter(guard).unwrap();
    assert_eq!(lost.exit(Outcome::Success), Err(ErrorKind::Expired));
    assert!(enter(guard).is_err(), "the late exit frees nothing");
    next.exit(Outcome::Success).unwrap();
    let stats = guard.stats().unwrap();
    assert_eq!((stats.expired, stats.inflight), (1, 0));
}

#[test]
fn rules_change_live_and_keep_state() {
    let runtime = open();
    rules(&runtime, r#"{"version":1,"guards":{"g":{"rate":[{"limit":100,"burst":20}],"concurrency":{"max":5}}}}"#);
    let guard = runtime.guard("g").unwrap();
    let mut held: Vec<_> = (0..5).map(|_| enter(guard).unwrap()).collect();
    rules(
        &runtime,
        r#"{"version":2,"guards":{"g":{"rate":[{"limit":10,"burst":50}],"concurrency":{"max":6},"max_hold":"10s"}}}"#,
    );
    assert_eq!(guard.stats().unwrap().inflight, 5, "permits in flight stay through a change of max_hold");
    held.push(enter(guard).unwrap());
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Concurrency));
    held.iter_mut().for_each(|permit| permit.exit(Outcome::Success).unwrap());
    for _ in 0..14 {
        enter(guard).unwrap().exit(Outcome::Success).unwrap();
    }
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Rate), "20 tokens were there, and no more came");
    for version in 3..60 {
        let limit = 10 + version % 3;
        rules(
            &runtime,
            &format!(r#"{{"version":{version},"guards":{{"g":{{"rate":[{{"limit":{limit},"burst":50}}]}}}}}}"#),
        );
        assert!(enter(guard).is_err());
    }
    rules(&runtime, r#"{"version":60}"#);
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    rules(&runtime, r#"{"version":61,"guards":{"g":{"rate":[{"limit":1,"burst":2}]}}}"#);
    assert_eq!((0..5).filter(|_| enter(guard).is_ok()).count(), 2, "a rule that comes anew starts full");
}

#[test]
fn bad_rules_change_nothing() {
    let runtime = open();
    rules(&runtime, r#"{"version":5,"guards":{"g":{"concurrency":{"max":1}}}}"#);
    let guard = runtime.guard("g").unwrap();
    let _held = enter(guard).unwrap();
    for (doc, kind) in [
        (r#"{"version":6,"guards":{"g":{"concurency":{"max":9}}}}"#, ErrorKind::Invalid),
        (
            r#"{"version":6,"guards":{"g":{"rate":[{"limit":1,"per":"24h","burst":1000000000000}]}}}"#,
            ErrorKind::Invalid,
        ),
        (r#"{"version":4}"#, ErrorKind::Conflict),
        (r#"{"version":5}"#, ErrorKind::Conflict),
        ("", ErrorKind::Invalid),
    ] {
        assert_eq!(runtime.apply_rules(doc.as_bytes()).unwrap_err().kind, kind, "{doc}");
        assert_eq!(runtime.rules_version(), 5);
        assert!(enter(guard).is_err());
    }
}

#[test]
fn closed_runtimes_and_retired_guards_answer_closed() {
    let runtime = open();
    let (kept, retired) = (runtime.guard("kept").unwrap(), runtime.guard("retired").unwrap());
    let (mut of_kept, mut of_retired) = (enter(kept).unwrap(), enter(retired).unwrap());
    retired.retire().unwrap();
    assert_eq!(enter(retired).unwrap_err(), NotEntered::Failed(ErrorKind::Closed));
    assert_eq!(of_retired.exit(Outcome::Success), Err(ErrorKind::Closed));
    let again = runtime.guard("retired").unwrap();
    assert_eq!(again.stats().unwrap().calls, [0; 6], "the room is used again, the figures are not");
    assert!(runtime.close() && !runtime.close());
    assert_eq!(enter(kept).unwrap_err(), NotEntered::Failed(ErrorKind::Closed));
    assert_eq!(of_kept.exit(Outcome::Success), Err(ErrorKind::Closed));
    assert_eq!(runtime.guard("kept").err().map(|error| error.kind), Some(ErrorKind::Closed));
}
