//! The limit as a whole, against a plain map of token buckets, storms, floods and garbage.

use super::*;
use crate::hash::mix;
use crate::rate::token_bucket::Bucket;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::*};

const SECOND: u64 = 1_000_000_000;
const SEED: Seed = Seed { k0: 11, k1: 12 };

struct Memory {
    words: Vec<AtomicU64>,
    shape: Shape,
}

impl Memory {
    fn new(keys: u64, hottest: usize) -> Memory {
        let shape = Shape::for_keys(keys, hottest).unwrap();
        Memory { words: (0..shape.words()).map(|_| AtomicU64::new(0)).collect(), shape }
    }

    fn table(&self) -> Table<'_, AtomicU64> {
        Table::new(&self.words, self.shape, SEED).unwrap()
    }
}

fn keyed(limit: f64, burst: u64, on_full: OnFull) -> Keyed {
    let pace = Pace::new(limit, SECOND, burst).unwrap();
    Keyed::new(Numbers::new(pace, on_full, 1).unwrap(), Overrides::NONE)
}

fn following(rule: &Keyed, limit: f64, burst: u64) -> Keyed {
    let pace = Pace::new(limit, SECOND, burst).unwrap();
    Keyed::new(rule.numbers().followed_by(pace, OnFull::Shared), *rule.overrides())
}

const OWN: Result<Taken, Refusal> = Ok(Taken::FromTable(Source::Key));

/// As a guard takes.
fn take(rule: &Keyed, table: &Table<'_, AtomicU64>, key: &Key<'_>, now: u64, cost: u64) -> Result<Taken, Refusal> {
    let at_once = cost == 1 && rule.takes_at_once(table, key, now);
    if at_once { OWN } else { rule.take(table, key, now, cost) }
}

fn refused_for(wait_ns: u64, answer: Result<Taken, Refusal>) -> bool {
    let about = wait_ns..=wait_ns + 4 + wait_ns / (1 << 26);
    matches!(answer, Err(Refusal::Empty { wait_ns, shared: false }) if about.contains(&wait_ns))
}

#[test]
fn each_key_has_a_bucket_of_its_own() {
    let (rule, memory) = (keyed(10.0, 3, OnFull::Refuse), Memory::new(1000, 0));
    let table = memory.table();
    for name in ["a", "b", ""] {
        let key = table.key(name.as_bytes());
        for _ in 0..3 {
            assert_eq!(take(&rule, &table, &key, 7, 1), OWN);
        }
        assert!(refused_for(SECOND / 10, rule.take(&table, &key, 7, 1)));
        assert!(rule.take(&table, &key, 7 + SECOND / 10 - 20, 1).is_err());
        assert_eq!(rule.take(&table, &key, 7 + SECOND / 10 + 20, 1), OWN);
    }
    assert_eq!(rule.live_keys(&table, SECOND / 2), 0);
    assert_eq!(rule.live_keys(&table, SECOND / 10 + 7), 3);
}

#[test]
fn costs_of_nothing_pass_and_costs_over_the_burst_never() {
    let (rule, memory) = (keyed(10.0, 3, OnFull::Refuse), Memory::new(1000, 0));
    let table = memory.table();
    let key = table.key(b"a");
    for cost in [4, u64::MAX] {
        assert_eq!(rule.take(&table, &key, 0, cost), Err(Refusal::Never));
        assert_eq!(rule.retry_after(&table, &key, 0, cost), Err(Refusal::Never));
    }
    assert_eq!(rule.take(&table, &key, 0, 0), Ok(Taken::FromTable(Source::Uncounted)));
    assert_eq!(rule.take(&table, &key, 0, 3), OWN);
    assert!(rule.take(&table, &key, 0, 0).is_ok());
    assert_eq!(rule.left(&table, &key, 0), Ok(0));
}

#[test]
fn tells_what_is_left_and_gives_back() {
    let (rule, memory) = (keyed(10.0, 10, OnFull::Refuse), Memory::new(1000, 0));
    let table = memory.table();
    let key = table.key(b"a");
    assert_eq!((rule.left(&table, &key, 0), rule.retry_after(&table, &key, 0, 10)), (Ok(10), Ok(0)));
    let taken = rule.take(&table, &key, 0, 10).unwrap();
    let wait = rule.retry_after(&table, &key, 0, 4).unwrap();
    assert!((SECOND * 4 / 10..SECOND * 4 / 10 + 20).contains(&wait));
    rule.give_back(&table, &key, 0, 4, taken);
    assert_eq!(rule.left(&table, &key, 0), Ok(4));
    assert_eq!(rule.take(&table, &key, 0, 4), OWN);
    rule.give_back(&table, &key, 0, 10, taken);
    assert_eq!(rule.left(&table, &key, 0), Ok(9), "a tick short of full");
    rule.give_back(&table, &key, SECOND, 10, taken);
    assert_eq!(rule.left(&table, &key, SECOND), Ok(10), "never more than full");
    rule.take(&table, &key, SECOND, 10).unwrap();
    rule.clear(&table, SECOND);
    assert_eq!(rule.left(&table, &key, SECOND), Ok(10));
}

/// Times in words are modulo 32 times the time to fill.
#[test]
fn a_key_that_was_away_for_long_has_a_full_bucket() {
    let (rule, memory) = (keyed(10.0, 10, OnFull::Refuse), Memory::new(10, 0));
    let table = memory.table();
    let (one, other) = (table.key(b"a"), table.key(b"b"));
    for turn in 0..400 {
        let (now, away) = (1000 * SECOND * (1 + turn), turn * SECOND / 4);
        for key in [&one, &other] {
            assert_eq!(rule.take(&table, key, now, 10), OWN, "{turn}");
        }
        // One of them keeps the set awake, or nobody does.
        for later in (0..away / SECOND).filter(|_| turn % 2 == 0) {
            let _ = rule.take(&table, &one, now + later * SECOND, 1);
        }
        let filled = (away * 10 / SECOND).min(10);
        let left = rule.left(&table, &other, now + away).unwrap();
        assert!(left == filled || left + 1 == filled && filled < 10, "{left} of {filled} at {turn}");
    }
}

#[test]
fn a_full_set_does_what_the_rule_says() {
    let keys: Vec<String> = (0..PLACES + 3).map(|n| n.to_string()).collect();
    for (on_full, expected) in [
        (OnFull::Shared, [Ok(Taken::FromTable(Source::Shared)), Ok(Taken::FromTable(Source::Shared))]),
        (OnFull::Refuse, [Err(Refusal::Full); 2]),
        (OnFull::Allow, [Ok(Taken::FromTable(Source::Uncounted)); 2]),
    ] {
        let (rule, memory) = (keyed(1.0, 2, on_full), Memory::new(1, 0));
        let table = memory.table();
        let take = |index: usize, now| rule.take(&table, &table.key(keys[index].as_bytes()), now, 1);
        for index in 0..PLACES {
            assert_eq!(take(index, 0), OWN);
        }
        assert_eq!([take(PLACES, 0), take(PLACES + 1, 0)], expected);
        if on_full == OnFull::Shared {
            assert!(matches!(take(PLACES + 2, 0), Err(Refusal::Empty { shared: true, .. })), "two for all of them");
            let key = table.key(keys[PLACES].as_bytes());
            rule.give_back(&table, &key, 0, 1, Taken::FromTable(Source::Shared));
            assert_eq!(take(PLACES + 2, 0), Ok(Taken::FromTable(Source::Shared)));
        }
        assert_eq!(take(PLACES + 2, SECOND + 100), OWN, "places are free again");
    }
}

#[test]
fn a_changed_rule_keeps_the_used_share() {
    let (old, memory) = (keyed(10.0, 10, OnFull::Shared), Memory::new(1, 0));
    let table = memory.table();
    let names: Vec<String> = (0..PLACES).map(|n| n.to_string()).collect();
    for (used, name) in names.iter().enumerate() {
        let cost = used.min(10) as u64;
        old.take(&table, &table.key(name.as_bytes()), 5 * SECOND, cost.max(1)).unwrap();
    }
    let new = following(&old, 700.0, 100);
    let newer = following(&new, 0.1, 1000);
    for (used, name) in names.iter().enumerate() {
        let key = table.key(name.as_bytes());
        let left = 10 - used.clamp(1, 10) as u64;
        assert_eq!(new.left(&table, &key, 5 * SECOND), Ok(left * 10));
        assert_eq!(old.take(&table, &key, 5 * SECOND, 1), Err(Refusal::Stale));
        assert_eq!(new.left(&table, &key, 5 * SECOND), Ok(left * 10));
    }
    for (used, name) in names.iter().enumerate() {
        let left = 10 - used.clamp(1, 10) as u64;
        assert_eq!(newer.left(&table, &table.key(name.as_bytes()), 5 * SECOND), Ok(left * 100));
    }
}

#[test]
fn numbers_several_changes_old_are_understood() {
    let (first, memory) = (keyed(10.0, 10, OnFull::Shared), Memory::new(100, 0));
    let table = memory.table();
    let key = table.key(b"a");
    first.take(&table, &key, 0, 5).unwrap();
    let mut rule = first;
    for turn in 0..7 {
        rule = following(&rule, 1.0 + f64::from(turn), 10);
    }
    assert_eq!(rule.left(&table, &key, 0), Ok(5));
    // Further back than is known: generations go in a circle, so it may seem later.
    for _ in 0..8 {
        rule = following(&rule, 3.0, 10);
    }
    assert_eq!(rule.take(&table, &key, 0, 1), Err(Refusal::Stale));
    rule.rebase(&table, &key, || 0);
    assert_eq!(rule.take(&table, &key, 0, 10), OWN);
}

#[test]
fn time_that_goes_back_costs_at_most_a_burst() {
    let (rule, memory) = (keyed(10.0, 10, OnFull::Shared), Memory::new(1, 0));
    let table = memory.table();
    let key = table.key(b"a");
    rule.take(&table, &key, 1000 * SECOND, 10).unwrap();
    // A little: the bucket is empty, and fills from now on.
    assert!(refused_for(SECOND / 10, rule.take(&table, &key, 999 * SECOND, 1)));
    rule.rebase(&table, &key, || 999 * SECOND);
    assert!(rule.take(&table, &key, 999 * SECOND + SECOND / 10 - 20, 1).is_err());
    assert_eq!(rule.take(&table, &key, 999 * SECOND + SECOND / 10 + 20, 1), OWN);
    // By far: said so, and mended.
    assert_eq!(rule.take(&table, &key, 5 * SECOND, 1), Err(Refusal::Stale));
    rule.rebase(&table, &key, || 5 * SECOND);
    assert_eq!(rule.take(&table, &key, 5 * SECOND, 10), OWN);
    assert!(rule.take(&table, &key, 5 * SECOND, 1).is_err());
}

#[test]
fn a_thread_with_an_older_reading_makes_no_tokens() {
    let (rule, memory) = (keyed(10.0, 10, OnFull::Shared), Memory::new(1, 0));
    let table = memory.table();
    let key = table.key(b"a");
    for now in (1..2000).map(|n| n * SECOND / 7) {
        let _ = rule.take(&table, &key, now, 10);
        assert!(rule.take(&table, &key, now - 1, 10).is_err(), "{now}");
        assert!(rule.take(&table, &key, now - 1000, 10).is_err(), "{now}");
    }
}

#[test]
fn special_keys_are_found_first_and_counted_too() {
    let memory = Memory::new(100, 8);
    let table = memory.table();
    let limit = Override::Limit(Bucket::new(1000.0, SECOND, 5, 1).unwrap());
    let list = [(SEED.hash(b"vip"), limit), (SEED.hash(b"evil"), Override::Deny), (SEED.hash(b"us"), Override::Allow)];
    let pace = Pace::new(1.0, SECOND, 1).unwrap();
    let overrides = Overrides::new(&list, &Overrides::NONE).unwrap();
    let rule = Keyed::new(Numbers::new(pace, OnFull::Refuse, 1).unwrap(), overrides);
    let admitted =
        |name: &str| (0..20).filter(|_| take(&rule, &table, &table.key(name.as_bytes()), 0, 1).is_ok()).count();
    assert_eq!(["vip", "evil", "us", "other"].map(admitted), [5, 0, 20, 1]);
    rule.give_back(&table, &table.key(b"vip"), 0, 2, Taken::Override);
    assert_eq!(admitted("vip"), 2);
    let hottest = rule.hottest(&table, 0);
    let count = |name: &str| hottest.iter().find(|hot| hot.name == name.as_bytes()).map(|hot| hot.count);
    assert!(count("evil") == Some(20) && count("vip") >= Some(33) && count("other") >= Some(19));
}

#[test]
fn one_admitted_call_in_sixteen_is_sampled() {
    for burst in [100_000u64, 1 << 16, 99_991] {
        let (rule, memory) = (keyed(1.0, burst, OnFull::Refuse), Memory::new(100, 8));
        let table = memory.table();
        let key = table.key(b"steady");
        let calls = (0..50_000).filter(|_| take(&rule, &table, &key, 0, 1).is_ok()).count() as u64;
        let told = rule.hottest(&table, 0)[0].count;
        assert!(told.abs_diff(calls) < calls / 4, "{told} of {calls}");
    }
}

/// While time stands still, each key gets exactly its burst, whoever comes and however many.
#[test]
fn a_storm_admits_exactly_the_models_count() {
    for (keys, burst) in [(1u64, 1000u64), (7, 333), (500, 7), (3000, 1)] {
        let (rule, memory) = (keyed(1.0, burst, OnFull::Allow), Memory::new(keys * 4, 16));
        let table = memory.table();
        let admitted: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|scope| {
            for start in 0..8 {
                let (rule, table, admitted) = (&rule, &table, &admitted);
                scope.spawn(move || {
                    for turn in 0..keys * burst {
                        let index = mix(turn / 2 + start % 2 * 7) % keys;
                        match take(rule, table, &table.key(&index.to_le_bytes()), 9, 1) {
                            OWN => drop(admitted[index as usize].fetch_add(1, Relaxed)),
                            refused => assert!(refused_for(SECOND, refused), "{refused:?}"),
                        }
                    }
                    for key in 0..keys {
                        while take(rule, table, &table.key(&key.to_le_bytes()), 9, 1).is_ok() {
                            admitted[key as usize].fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert!(admitted.iter().all(|admitted| admitted.load(Relaxed) == burst), "{keys} keys of {burst}");
    }
}

/// While it sleeps after it was refused, another takes what has come meanwhile.
#[test]
fn who_is_refused_and_sleeps_gives_nobody_a_token() {
    let (rule, memory) = (keyed(1.0, 1, OnFull::Refuse), Memory::new(100, 0));
    let (table, admitted) = (memory.table(), AtomicU64::new(0));
    let key = table.key(b"a");
    let take_later = || admitted.fetch_add(u64::from(rule.take(&table, &key, 10 * SECOND, 1).is_ok()), Relaxed);
    assert_eq!(rule.take(&table, &key, 0, 1), OWN);
    rule.settle(&table, &key, SECOND / 2, || {
        take_later();
        SECOND / 2
    });
    (0..2).for_each(|_| _ = take_later());
    assert_eq!(admitted.load(Relaxed), 1);
}

/// Places change hands all the time: no more keys are limited than fit, and all others' buckets are full.
#[test]
fn a_storm_of_keys_that_come_and_go_never_admits_too_much() {
    let (rule, memory) = (keyed(1000.0, 2, OnFull::Refuse), Memory::new(30, 8));
    let table = memory.table();
    let (clock, keys) = (AtomicU64::new(SECOND), 400u64);
    let admitted: Vec<AtomicU64> = (0..keys).map(|_| AtomicU64::new(0)).collect();
    let steps = 100_000u64;
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (rule, table, admitted, clock) = (&rule, &table, &admitted, &clock);
            scope.spawn(move || {
                for turn in 0..steps {
                    let index = mix(turn * 4 + seed) % keys * u64::from(turn % 3 != 0);
                    let now = clock.fetch_add(2_000, Relaxed);
                    if take(rule, table, &table.key(&index.to_le_bytes()), now, 1).is_ok() {
                        admitted[index as usize].fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    let most = 2 + 4 * steps * 2_000 / 1_000_000;
    let worst = admitted.iter().map(|admitted| admitted.load(Relaxed)).max().unwrap();
    assert!(worst <= most && worst > most / 2, "{worst} of {most}");
}

/// Ten times as many new keys as the table is for do not make a limited key forget.
#[test]
fn a_flood_does_not_free_a_limited_key() {
    for on_full in [OnFull::Shared, OnFull::Refuse, OnFull::Allow] {
        let keys = 2000u64;
        let (rule, memory) = (keyed(0.001, 2, on_full), Memory::new(keys, 8));
        let table = memory.table();
        let limited: Vec<String> = (0..200).map(|n| format!("limited-{n}")).collect();
        for name in &limited {
            assert_eq!(rule.take(&table, &table.key(name.as_bytes()), 0, 2), OWN);
        }
        for flood in 0..keys * 10 {
            let _ = rule.take(&table, &table.key(&flood.to_le_bytes()), flood, 1);
        }
        for name in &limited {
            assert!(rule.take(&table, &table.key(name.as_bytes()), keys * 10, 1).is_err());
        }
    }
}

#[test]
fn a_table_with_as_many_live_keys_as_it_is_for_overflows_for_one_in_a_thousand() {
    let keys = 100_000u64;
    let (rule, memory) = (keyed(0.001, 1, OnFull::Refuse), Memory::new(keys, 0));
    let table = memory.table();
    let full = (0..keys).filter(|key| rule.take(&table, &table.key(&key.to_le_bytes()), 0, 1) != OWN).count() as u64;
    assert!(full < keys / 1000, "{full} of {keys}");
    assert_eq!(rule.live_keys(&table, 0), keys - full);
    assert_eq!(rule.about_live_keys(&table, 0, 1 << 20), keys - full);
    let about = rule.about_live_keys(&table, 0, 1000);
    assert!(about.abs_diff(keys - full) < keys / 20, "{about}");
    assert_eq!(rule.live_keys(&table, 1001 * SECOND), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Tokens as exact fractions, one bucket a key. A reading of the clock in ticks may admit a tick early.
    #[test]
    fn agrees_with_a_map_of_plain_buckets(
        limit in 1u64..100_000, burst in 1u64..2000,
        calls in prop::collection::vec((0u64..1 << 34, 0u32..34, 0u8..6, 1u64..40), 1..300),
    ) {
        let (rule, memory) = (keyed(limit as f64, burst, OnFull::Refuse), Memory::new(60, 4));
        let table = memory.table();
        let full = u128::from(burst) * u128::from(SECOND);
        let tick = full / (1 << 26) + 1;
        let (mut map, mut now) = (HashMap::new(), 0u64);
        for (pause, shift, name, cost) in calls {
            now += pause >> shift;
            let (level, since) = map.entry(name).or_insert((full, now));
            *level = full.min(*level + u128::from(now - *since) * u128::from(limit));
            *since = now;
            let need = u128::from(cost) * u128::from(SECOND);
            match take(&rule, &table, &table.key(&[name]), now, cost) {
                Ok(_) => {
                    prop_assert!(*level + tick >= need, "{} of {}", need, *level);
                    *level = level.saturating_sub(need);
                }
                Err(Refusal::Never) => prop_assert!(cost > burst),
                Err(Refusal::Empty { wait_ns, .. }) => {
                    prop_assert!(*level < need + tick);
                    prop_assert!(*level + (u128::from(wait_ns)) * u128::from(limit) + tick >= need);
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
    }

    /// A wait that is told is long enough.
    #[test]
    fn who_waits_as_told_passes(limit in 1u64..1_000_000, burst in 1u64..2000, cost in 1u64..2000, now in 0u64..1 << 50) {
        let cost = cost.min(burst);
        let (rule, memory) = (keyed(limit as f64, burst, OnFull::Refuse), Memory::new(60, 4));
        let table = memory.table();
        let key = table.key(b"k");
        prop_assert_eq!(rule.take(&table, &key, now, burst), OWN);
        let wait = match rule.take(&table, &key, now, cost) {
            Err(Refusal::Empty { wait_ns, shared: false }) => wait_ns,
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(rule.retry_after(&table, &key, now, cost), Ok(wait));
        prop_assert_eq!(rule.take(&table, &key, now + wait, cost), OWN);
    }

    /// Whatever stands in the memory: an answer, and no way out of it.
    #[test]
    fn garbage_leads_nowhere(words in prop::collection::vec(any::<u64>(), 4..64), now in any::<u64>(), stamped in any::<bool>()) {
        let memory = Memory::new(20, 8);
        let (rule, table) = (keyed(10.0, 5, OnFull::Shared), memory.table());
        for turn in 0..20u64 {
            memory.words.iter().enumerate().for_each(|(index, word)| {
                let garbage = words[(index + turn as usize) % words.len()];
                word.store(if stamped && index % 16 == 0 { now << 7 | 1 << 32 } else { garbage }, Relaxed);
            });
            let name = turn.to_le_bytes();
            let key = table.key(&name);
            if let Ok(taken) = take(&rule, &table, &key, now, 1) {
                rule.give_back(&table, &key, now, 1, taken);
            }
            rule.rebase(&table, &key, || now);
            prop_assert_ne!(rule.take(&table, &key, now, 1), Err(Refusal::Never));
            let _ = (rule.left(&table, &key, now), rule.live_keys(&table, now), rule.hottest(&table, now));
            rule.clear(&table, now);
        }
    }
}
