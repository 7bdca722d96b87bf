//! Rate limits by key in the pipeline: whose bucket a call takes from, what is given back, what a flood does, what stays when rules
//! change, and several processes on one table.

mod common;

use common::{MS, SECOND, open, open_with, rules, wait_for};
use std::sync::atomic::{AtomicU64, Ordering::*};
use tidegate_core::guard::handle::Guard;
use tidegate_core::policy::Attribute;
use tidegate_core::segment::SegmentOptions;
use tidegate_core::{Call, ErrorKind, NotEntered, Outcome, Permit, Runtime, Stage};

fn call(key: &[u8]) -> Call<'_> {
    Call { key, ..Call::default() }
}

/// Enters and leaves; the refused permit.
fn pass(guard: &'static Guard, call: &Call<'_>) -> Result<(), Box<Permit>> {
    let mut permit = Permit::default();
    match guard.enter(call, &mut permit) {
        Ok(()) => permit.exit(Outcome::Success).map_err(|error| panic!("{error:?}")),
        Err(NotEntered::Refused(Stage::Rate)) => Err(Box::new(permit)),
        Err(other) => panic!("{other:?}"),
    }
}

/// How many calls of a key pass, one after the other.
fn admitted(guard: &'static Guard, key: &[u8]) -> usize {
    (0..10_000).take_while(|_| pass(guard, &call(key)).is_ok()).count()
}

fn limited(version: u32, limit: &str) -> String {
    format!(r#"{{"version":{version},"guards":{{"g":{{"rate":[{limit}]}}}}}}"#)
}

fn guard_of(runtime: &Runtime, limit: &str) -> &'static Guard {
    rules(runtime, &limited(1, limit));
    runtime.guard("g").unwrap()
}

#[test]
fn each_key_has_its_own_bucket() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":10,"burst":3,"key":"tenant"}"#);
    assert_eq!(["a", "b", "a", ""].map(|key| admitted(guard, key.as_bytes())), [3, 3, 0, 3]);
    let refused = pass(guard, &call(b"a")).unwrap_err();
    assert!(refused.retry_after_ns().abs_diff(100 * MS) < 10, "{}", refused.retry_after_ns());
    assert_eq!((refused.stage(), refused.reason()), (8, 0));
    runtime.clock().advance(100 * MS + 10).unwrap();
    assert_eq!(["a", "b", "c"].map(|key| admitted(guard, key.as_bytes())), [1, 1, 3]);
    assert_eq!(pass(guard, &Call { cost: 4, ..call(b"d") }).unwrap_err().retry_after_ns(), u64::MAX);
    let stats = guard.stats().unwrap();
    assert_eq!((stats.calls[0], stats.inflight, stats.rejected[8]), (14, 0, 9));
}

#[test]
fn an_attribute_is_the_key_before_the_calls_own() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":1,"per":"1h","key":"origin"}"#);
    let (origin, other) = (runtime.attribute("origin").unwrap(), runtime.attribute("other").unwrap());
    let from = |id, value| [Attribute { id: other, value: b"x" }, Attribute { id, value }];
    let take = |id, value, key| pass(guard, &Call { attributes: &from(id, value), ..call(key) }).is_ok();
    assert!(take(origin, b"checkout", b"a"));
    assert!(!take(origin, b"checkout", b"b"), "its key is not looked at");
    assert!(take(origin, b"search", b"b"));
    assert!(take(other, b"checkout", b"b"), "without the attribute it is");
    assert!(!take(other, b"search", b"b"));
    assert!(!take(other, b"x", b"checkout"), "a key is a key, whoever says it");
    assert!(pass(guard, &Call::default()).is_ok() && pass(guard, &Call::default()).is_err());
}

#[test]
fn a_later_limit_gives_the_keys_tokens_back() {
    let runtime = open();
    let own =
        r#"{"limit":1,"per":"1h","burst":5,"key":"tenant","overrides":{"gold":{"limit":1,"per":"1h","burst":50}}}"#;
    let guard = guard_of(
        &runtime,
        &format!(r#"{own}, {{"limit":1,"per":"1h","burst":3,"key":"shop"}}, {{"limit":1,"per":"1h","burst":4}}"#),
    );
    let shop = runtime.attribute("shop").unwrap();
    let attributes = |value| [Attribute { id: shop, value }];
    let take = |key, shop| pass(guard, &Call { attributes: &attributes(shop), ..call(key) }).map_err(|p| p.reason());
    assert_eq!([0; 3].map(|_| take(b"gold", b"one")), [Ok(()); 3]);
    for _ in 0..100 {
        assert_eq!(take(b"gold", b"one"), Err(1), "of the shop");
        assert_eq!(take(b"iron", b"one"), Err(1));
    }
    assert_eq!(take(b"iron", b"two"), Ok(()));
    for _ in 0..100 {
        assert_eq!(take(b"gold", b"three"), Err(2), "of all");
    }
    // What was given back leaves a 2^-26th of the bucket.
    runtime.clock().advance(MS).unwrap();
    rules(&runtime, &limited(2, own));
    assert_eq!(["gold", "iron"].map(|key| admitted(guard, key.as_bytes())), [47, 4]);
}

#[test]
fn a_limit_that_follows_another_guard_makes_keys_pay_more() {
    let runtime = open();
    let followed = runtime.guard("h").unwrap();
    let doc = r#"{"version":1,"guards":{"h":{"concurrency":{"max":1}},"g":{"rate":[
        {"limit":1,"per":"1h","burst":10,"key":"k","overrides":{"small":{"limit":1,"per":"1h","burst":3}},
         "follow":{"guard":"h","from":0.4,"to":0.8,"floor":0.2}}]}}}"#;
    rules(&runtime, doc);
    let guard = runtime.guard("g").unwrap();
    let count = |keys: [&str; 2]| keys.map(|key| admitted(guard, key.as_bytes()));
    assert_eq!(count(["a", "small"]), [10, 3]);
    runtime.clock().advance(11 * 3600 * SECOND).unwrap();
    let mut held = Permit::default();
    followed.enter(&Call::default(), &mut held).unwrap();
    assert_eq!(count(["a", "small"]), [2, 1], "a call costs five, but never more than there can be");
    held.exit(Outcome::Success).unwrap();
}

#[test]
fn modes_are_those_of_any_limit() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":1,"per":"1h","key":"k","mode":"shadow","deny":["evil"]}"#);
    assert_eq!((admitted(guard, b"a"), admitted(guard, b"evil")), (10_000, 10_000));
    let stats = guard.stats().unwrap();
    assert_eq!((stats.shadow_rejected[8], stats.rejected[8]), (9_999 + 10_000, 0));
    rules(&runtime, &limited(2, r#"{"limit":1,"per":"1h","key":"k"}"#));
    assert_eq!((admitted(guard, b"a"), admitted(guard, b"b")), (0, 1), "in shadow mode it takes");
    rules(&runtime, &limited(3, r#"{"limit":1,"per":"1h","key":"k","mode":"off"}"#));
    assert_eq!(admitted(guard, b"a"), 10_000);
}

#[test]
fn special_keys_have_limits_of_their_own() {
    let runtime = open();
    let special = |gold: u32| {
        format!(
            r#"{{"limit":1,"per":"1h","key":"k","overrides":{{"gold":{{"limit":1,"burst":{gold}}}}},
                "allow":["us"],"deny":["evil"]}}"#
        )
    };
    let guard = guard_of(&runtime, &special(20));
    let count = |keys: [&str; 4]| keys.map(|key| admitted(guard, key.as_bytes()));
    assert_eq!(count(["silver", "us", "evil", "iron"]), [1, 10_000, 0, 1]);
    assert_eq!(pass(guard, &call(b"evil")).unwrap_err().retry_after_ns(), u64::MAX);
    (0..5).for_each(|_| pass(guard, &call(b"gold")).unwrap());
    // It keeps the tokens that it has, however often other things change.
    for version in 2..40 {
        rules(&runtime, &limited(version, &special(20 + version)));
    }
    assert_eq!(admitted(guard, b"gold"), 15);
}

#[test]
fn a_live_change_keeps_used_shares_and_another_size_is_another_table() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":10,"per":"1h","key":"k","keys":100}"#);
    (0..5).for_each(|_| pass(guard, &call(b"half")).unwrap());
    for version in 2..9 {
        let burst = 100 * version;
        rules(
            &runtime,
            &limited(version, &format!(r#"{{"limit":{version},"per":"1h","burst":{burst},"key":"k","keys":100}}"#)),
        );
    }
    let half = admitted(guard, b"half");
    assert!((395..=400).contains(&half), "{half} of 800: of the numbers before, the last seven are understood");
    rules(&runtime, &limited(30, r#"{"limit":10,"per":"1h","key":"k","keys":200}"#));
    assert_eq!(admitted(guard, b"half"), 10);
    rules(&runtime, &limited(31, r#"{"limit":10,"per":"1h","key":"other","keys":200}"#));
    assert_eq!(admitted(guard, b"half"), 10, "keys of another name are others");
    rules(&runtime, &limited(32, r#"{"limit":10,"per":"1h"}"#));
    assert_eq!(admitted(guard, b"half"), 10);
    rules(&runtime, &limited(33, r#"{"limit":10,"per":"1h","key":"other","keys":200}"#));
    assert_eq!(admitted(guard, b"half"), 10);
}

#[test]
fn nothing_is_lost_by_many_changes() {
    let runtime = open_with(SegmentOptions { bytes: 4 << 20, ..SegmentOptions::default() });
    let guard = guard_of(&runtime, r#"{"limit":1,"key":"k","keys":5000,"deny":["a"]}"#);
    for version in 2..400u32 {
        let limit = [
            format!(r#"{{"limit":{version},"key":"k","keys":5000,"overrides":{{"{version}":{{"limit":1}}}}}}"#),
            r#"{"limit":1}"#.to_owned(),
            format!(r#"{{"limit":1,"key":"k","keys":{},"deny":["a","b"]}}"#, 3000 + version % 5),
        ];
        rules(&runtime, &limited(version, &limit[version as usize % 3]));
        assert!(pass(guard, &call(&version.to_le_bytes())).is_ok());
    }
    let too_large = limited(1000, r#"{"limit":1,"key":"k","keys":1000000}"#);
    let refused = runtime.apply_rules(too_large.as_bytes()).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Full);
    assert!(pass(guard, &call(b"c")).is_ok(), "the rules before go on");
    rules(&runtime, &limited(1001, r#"{"limit":1,"key":"k","keys":5000}"#));
}

#[test]
fn a_flood_of_keys_frees_nobody_and_is_counted() {
    let runtime = open();
    for (version, on_full) in [(1, "shared"), (2, "refuse"), (3, "allow")] {
        let keys = 1000 + version;
        let limit = format!(r#"{{"limit":1,"per":"1h","key":"ip","keys":{keys},"on_full":"{on_full}","hottest":8}}"#);
        rules(&runtime, &limited(version, &limit));
        let guard = runtime.guard("g").unwrap();
        let before = guard.stats().unwrap().keyed[0].unwrap();
        assert_eq!(before.live, 0);
        let known: Vec<String> = (0..200).map(|n| format!("known-{n}")).collect();
        known.iter().for_each(|key| pass(guard, &call(key.as_bytes())).unwrap());
        let passed = (0..20_000u32).filter(|n| pass(guard, &call(&n.to_le_bytes())).is_ok()).count();
        for key in &known {
            assert!(pass(guard, &call(key.as_bytes())).is_err(), "{key} with {on_full}");
        }
        let stats = guard.stats().unwrap().keyed[0].unwrap();
        let overflowed = stats.overflowed - before.overflowed;
        let places = 14 * (1000 * u64::from(keys)).div_ceil(6500);
        assert_eq!((stats.live, guard.live_keys(0).unwrap()), (places, places));
        assert!(overflowed >= 20_000 + 200 - places, "{overflowed}");
        let sets = places as usize / 14;
        match on_full {
            "shared" => assert!(passed > 14 * sets - 200 && passed <= 15 * sets, "{passed} with {sets} sets"),
            "refuse" => assert_eq!(passed, 14 * sets - 200),
            _ => assert_eq!(passed, 20_000),
        }
    }
}

#[test]
fn the_hottest_keys_can_be_read() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":1,"per":"1h","key":"k","hottest":8}, {"limit":1e9,"burst":1000000000}"#);
    for turn in 0..1000 {
        let _ = pass(guard, &call(["loud", "louder", "louder"][turn % 3].as_bytes()));
        let _ = pass(guard, &call(&turn.to_le_bytes()));
    }
    let names: Vec<_> = guard.hottest(0).unwrap().into_iter().take(2).map(|hot| hot.name).collect();
    assert_eq!(names, [b"louder".to_vec(), b"loud".to_vec()]);
    for index in [1, 2, usize::MAX] {
        assert_eq!(guard.hottest(index).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(guard.live_keys(index).unwrap_err().kind, ErrorKind::NotFound);
    }
    runtime.close();
    assert_eq!(guard.hottest(0).unwrap_err().kind, ErrorKind::Closed);
}

#[test]
fn after_a_boot_all_buckets_are_full() {
    let runtime = open();
    let guard =
        guard_of(&runtime, r#"{"limit":1,"per":"1h","key":"k","overrides":{"gold":{"limit":1,"per":"1h","burst":2}}}"#);
    let count = || ["a", "gold"].map(|key| admitted(guard, key.as_bytes()));
    assert_eq!([count(), count()], [[1, 2], [0, 0]]);
    runtime.reset_timed_state().unwrap();
    assert_eq!(count(), [1, 2]);
}

#[test]
fn a_clock_that_goes_back_costs_a_burst_at_most() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":1,"burst":5,"key":"k","overrides":{"gold":{"limit":1,"burst":9}}}"#);
    let count = || ["a", "gold"].map(|key| admitted(guard, key.as_bytes()));
    runtime.clock().set(90_000 * SECOND).unwrap();
    assert_eq!(count(), [5, 9]);
    runtime.clock().set(60 * SECOND).unwrap();
    let found = count();
    assert!(found[0] <= 5 && found[1] <= 9, "{found:?}");
    runtime.clock().set(70 * SECOND).unwrap();
    assert_eq!(count(), [5, 9]);
}

#[test]
fn a_storm_admits_each_key_its_burst() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":1,"per":"1h","burst":50,"key":"k"}"#);
    let counts: Vec<AtomicU64> = (0..100).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for start in 0..4usize {
            let counts = &counts;
            scope.spawn(move || {
                for turn in 0..100 * 60 {
                    let key = (turn + 25 * start) % 100;
                    if pass(guard, &call(&key.to_le_bytes())).is_ok() {
                        counts[key].fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    assert!(counts.iter().all(|count| count.load(Relaxed) == 50));
}

/// Rules change under callers: whoever was in between begins again, and no key gets more than its burst.
#[test]
fn a_storm_through_changes_admits_no_key_more() {
    let runtime = open();
    let rule = |version: u32| {
        let gold = 50 + version % 2;
        format!(
            r#"{{"limit":1,"per":"1h","burst":{gold},"key":"k","overrides":{{"gold":{{"limit":1,"per":"1h","burst":{gold}}}}}}}"#
        )
    };
    let guard = guard_of(&runtime, &rule(1));
    let counts = [const { AtomicU64::new(0) }; 2];
    let turns = [const { AtomicU64::new(0) }; 3];
    std::thread::scope(|scope| {
        for turn_of in &turns {
            let counts = &counts;
            scope.spawn(move || {
                for turn in 0..20_000 {
                    let (key, count) = [(&b"gold"[..], &counts[0]), (&b"iron"[..], &counts[1])][turn % 2];
                    let mut permit = Permit::default();
                    match guard.enter(&call(key), &mut permit) {
                        Ok(()) => drop((permit.exit(Outcome::Success), count.fetch_add(1, Relaxed))),
                        Err(NotEntered::Refused(_) | NotEntered::Failed(ErrorKind::Busy)) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                    turn_of.fetch_add(1, Relaxed);
                }
            });
        }
        // Words that are several changes old are understood, but not any number.
        let progress = || turns.each_ref().map(|turn| turn.load(Relaxed));
        let mut seen = progress();
        for version in 2.. {
            rules(&runtime, &limited(version, &rule(version)));
            while progress().iter().zip(seen).any(|(now, then)| *now < 20_000 && *now == then) {
                std::thread::yield_now();
            }
            seen = progress();
            if seen == [20_000; 3] {
                break;
            }
        }
    });
    let [gold, iron] = counts.map(|count| count.load(Relaxed));
    assert!(gold <= 51 && (45..=51).contains(&iron), "{gold} and {iron}");
}

/// Runs `body` in a forked child, which ends by itself or is killed.
fn fork(body: impl FnOnce()) -> i32 {
    // SAFETY: the child runs only `body` and leaves by _exit.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            libc::_exit(if ended.is_ok() { 0 } else { 101 });
        }
        pid
    }
}

#[test]
fn two_processes_share_each_keys_bucket() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":1,"per":"1h","burst":10,"key":"k","deny":["evil"]}"#);
    (0..4).for_each(|_| pass(guard, &call(b"a")).unwrap());
    let child = fork(|| {
        assert_eq!((admitted(guard, b"a"), admitted(guard, b"b"), admitted(guard, b"evil")), (6, 10, 0));
        // Another mapping, as of a process that was not forked from this one.
        let other = Runtime::attach(runtime.segment().file()).unwrap();
        let guard = other.guard("g").unwrap();
        assert_eq!((admitted(guard, b"b"), admitted(guard, b"c"), admitted(guard, b"evil")), (0, 10, 0));
        rules(&other, &limited(2, r#"{"limit":2,"per":"1h","burst":20,"key":"k","allow":["evil"]}"#));
        assert_eq!(admitted(guard, b"c"), 0);
    });
    assert_eq!(wait_for(child), 0);
    let count = ["a", "b", "c", "d", "evil"].map(|key| admitted(guard, key.as_bytes()));
    assert_eq!(count, [0, 0, 0, 20, 10_000], "by the numbers that the child put in force");
}

/// A process that dies at any instruction leaves the table usable, and no key with more than its burst.
#[test]
fn a_child_killed_amid_takes_leaves_the_table_usable() {
    let runtime = open();
    let guard = guard_of(&runtime, r#"{"limit":1,"burst":40,"key":"k","keys":64}"#);
    let counts = shared_words(100);
    for _ in 0..30 {
        let child = fork(|| {
            for turn in 0u64.. {
                let key = turn * 7 % 100;
                if pass(guard, &call(&key.to_le_bytes())).is_ok() {
                    counts[key as usize].fetch_add(1, Relaxed);
                }
            }
        });
        while counts.iter().map(|count| count.load(Relaxed)).sum::<u64>() < 500 {
            std::thread::yield_now();
        }
        // SAFETY: our own child.
        unsafe { assert_eq!(libc::kill(child, libc::SIGKILL), 0) };
        assert_eq!(libc::WTERMSIG(wait_for(child)), libc::SIGKILL);
        runtime.reap().unwrap();
        for key in 0..100u64 {
            let more = admitted(guard, &key.to_le_bytes()) as u64;
            let had = counts[key as usize].swap(0, Relaxed);
            // Ten sets of fourteen places and a shared bucket: nearly all keys have their own.
            assert!(had + more <= 80, "{had} and {more}");
        }
        runtime.clock().advance(50 * SECOND).unwrap();
        assert_eq!(guard.live_keys(0).unwrap(), 0);
        assert_eq!((admitted(guard, b"fresh"), admitted(guard, b"fresher")), (40, 40));
        runtime.clock().advance(50 * SECOND).unwrap();
    }
}

/// Words that children share with this process.
fn shared_words(count: usize) -> &'static [AtomicU64] {
    // SAFETY: new zeroed memory of this size, never unmapped.
    unsafe {
        let bytes = count * 8;
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let at = libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        std::slice::from_raw_parts(at.cast::<AtomicU64>(), count)
    }
}
