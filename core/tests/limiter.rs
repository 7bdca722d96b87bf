//! Limiters that stand alone: shared by name or one's own, changed while they are used, retired and closed.

mod common;

use common::open;
use proptest::prelude::*;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use tidegate_core::limiter::{Algorithm, Limiter, NotTaken, Options};
use tidegate_core::rate::limiter::FOR_EVER;
use tidegate_core::{ErrorKind, Runtime};

const SECOND: u64 = 1_000_000_000;
const TENTH: u64 = SECOND / 10;

fn of(algorithm: Algorithm, limit: f64) -> Options {
    Options { algorithm, limit, ..Options::default() }
}

fn all_of(limit: f64) -> [Options; 6] {
    let warm = Options { warm_up_ns: SECOND, ..of(Algorithm::WarmUp, limit) };
    let [bucket, pacing, fixed, counter, window, _] = Algorithm::ALL.map(|algorithm| of(algorithm, limit));
    [bucket, pacing, fixed, counter, window, warm]
}

fn own(runtime: &Runtime, options: Options) -> &'static Limiter {
    runtime.limiter("", Some(&options)).unwrap()
}

fn taken(limiter: &Limiter, at: u64) -> u64 {
    (0..1000).take_while(|_| limiter.take(1, at).is_ok()).count() as u64
}

#[test]
fn a_name_is_shared_by_all_who_resolve_it() {
    let one = open();
    let other = Runtime::attach(one.segment().file().as_fd()).unwrap();
    for (number, options) in all_of(10.0).into_iter().enumerate() {
        let name = format!("shared {number}");
        let (here, there) = (one.limiter(&name, Some(&options)).unwrap(), other.limiter(&name, None).unwrap());
        assert!(std::ptr::eq(here, one.limiter(&name, None).unwrap()));
        let most = if [1, 5].contains(&number) { 1 } else { 10 };
        let mut all = 0;
        while here.take(1, SECOND).is_ok() && all < 100 {
            all += 1 + u64::from(there.take(1, SECOND).is_ok());
        }
        assert_eq!(all, most, "{options:?}");
        assert_eq!(there.options().unwrap(), options);
    }
}

#[test]
fn those_without_a_name_are_apart() {
    let runtime = open();
    for options in all_of(10.0) {
        let (one, other) = (own(&runtime, options), own(&runtime, options));
        let first = taken(one, SECOND);
        assert!(first > 0 && taken(one, SECOND) == 0);
        assert_eq!(taken(other, SECOND), first);
        one.retire().unwrap();
        assert_eq!(one.take(1, SECOND), Err(NotTaken::Failed(ErrorKind::Closed)));
        assert_eq!(taken(own(&runtime, options), SECOND), first, "the cell is used again, as new");
        assert_eq!(one.take(1, SECOND), Err(NotTaken::Failed(ErrorKind::Closed)));
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let runtime = open();
    let base = of(Algorithm::TokenBucket, 10.0);
    for wrong in [
        of(Algorithm::TokenBucket, f64::NAN),
        of(Algorithm::TokenBucket, -1.0),
        of(Algorithm::FixedWindow, 1.5),
        of(Algorithm::SlidingWindow, 0.0),
        of(Algorithm::SlidingCounter, 1e9),
        of(Algorithm::WarmUp, 10.0),
        Options { buckets: 3, ..base },
        Options { warm_up_ns: 3, ..base },
        Options { cold_factor: 3.0, ..base },
        Options { burst: Some(3), ..of(Algorithm::Pacing, 10.0) },
        Options { max_wait_ns: 3, ..of(Algorithm::FixedWindow, 10.0) },
        Options { buckets: 61, ..of(Algorithm::SlidingWindow, 10.0) },
    ] {
        assert_eq!(runtime.limiter("wrong", Some(&wrong)).err().map(|e| e.kind), Some(ErrorKind::Invalid), "{wrong:?}");
        let limiter = own(&runtime, base);
        assert_eq!(limiter.set(&wrong, 0).err().map(|error| error.kind), Some(ErrorKind::Invalid));
        assert_eq!(limiter.options().unwrap(), base);
    }
    let kind = |name: &str, options| runtime.limiter(name, options).err().map(|error| error.kind);
    assert_eq!(kind("wrong", None), Some(ErrorKind::NotFound));
    assert_eq!(kind("", None), Some(ErrorKind::Invalid));
    assert_eq!(kind(&"x".repeat(129), Some(&base)), Some(ErrorKind::Invalid));
}

#[test]
fn a_change_keeps_the_tokens() {
    let runtime = open();
    let limiter = own(&runtime, Options::token_bucket(10.0, 5));
    assert_eq!((limiter.take(4, SECOND), limiter.tokens(SECOND)), (Ok(0), Ok(1.0)));
    for turn in 0..40 {
        limiter.set(&Options::token_bucket(10.0 + f64::from(turn), 5), SECOND).unwrap();
        assert!((limiter.tokens(SECOND).unwrap() - 1.0).abs() < 1e-6, "{turn}");
    }
    assert!(limiter.take(1, SECOND).is_ok() || limiter.take(1, SECOND + 10).is_ok());
    assert!(limiter.take(1, SECOND + 20).is_err());

    let window = own(&runtime, of(Algorithm::SlidingWindow, 10.0));
    assert_eq!(taken(window, SECOND), 10);
    window.set(&of(Algorithm::SlidingWindow, 15.0), SECOND).unwrap();
    assert_eq!((window.tokens(SECOND), taken(window, SECOND)), (Ok(5.0), 5));
    window.set(&of(Algorithm::FixedWindow, 3.0), SECOND).unwrap();
    assert_eq!(taken(window, SECOND), 3, "another algorithm begins afresh");
}

#[test]
fn an_untouched_limiter_is_full_under_its_next_numbers() {
    let runtime = open();
    for options in all_of(10.0) {
        let (touched, never) = (own(&runtime, options), own(&runtime, options));
        touched.set(&options, SECOND).unwrap();
        assert_eq!(taken(touched, SECOND), taken(never, SECOND), "{options:?}");
    }
}

#[test]
fn a_reservation_comes_back_once() {
    let runtime = open();
    for options in all_of(10.0) {
        let wait = Options { max_wait_ns: 0, ..options };
        let (limiter, stranger) = (own(&runtime, wait), own(&runtime, wait));
        let before = limiter.tokens(SECOND).unwrap();
        let mut reserved = limiter.reserve(1, SECOND, FOR_EVER).unwrap();
        assert_eq!((reserved.wait_ns, reserved.act_at_ns), (0, SECOND));
        assert_eq!(stranger.cancel(&mut reserved, SECOND), Err(ErrorKind::Invalid));
        let mut copy = reserved;
        assert_eq!(limiter.cancel(&mut reserved, SECOND), Ok(()));
        assert_eq!(limiter.tokens(SECOND).unwrap(), before, "{options:?}");
        assert_eq!(limiter.cancel(&mut reserved, SECOND), Err(ErrorKind::NotHeld));
        limiter.retire().unwrap();
        assert_eq!(limiter.cancel(&mut copy, SECOND), Err(ErrorKind::Closed));
    }
}

#[test]
fn each_refusal_is_counted_once() {
    let runtime = open();
    for (number, options) in all_of(10.0).into_iter().enumerate() {
        let name = format!("counted {number}");
        let limiter = runtime.limiter(&name, Some(&Options { max_wait_ns: 0, ..options })).unwrap();
        let rejected = || runtime.snapshot().unwrap().limiters[&name].rejected;
        let mut reserved = limiter.reserve(1, SECOND, 0).unwrap();
        limiter.cancel(&mut reserved, SECOND).unwrap();
        taken(limiter, SECOND);
        assert_eq!(rejected(), 1, "{options:?}");
        limiter.reserve(1, SECOND, 0).unwrap_err();
        limiter.take(u64::MAX, SECOND).unwrap_err();
        limiter.tokens(SECOND).unwrap();
        limiter.set(&options, SECOND).unwrap();
        assert_eq!(rejected(), 3, "{options:?}");
        limiter.retire().unwrap();
        runtime.limiter(&name, Some(&options)).unwrap();
        assert_eq!(rejected(), 0, "another limiter");
    }
}

#[test]
fn a_bucket_goes_into_debt_and_cancels_across_a_change() {
    let runtime = open();
    let limiter = own(&runtime, Options { max_wait_ns: TENTH, ..Options::token_bucket(10.0, 2) });
    assert_eq!((limiter.take(2, SECOND), limiter.take(1, SECOND)), (Ok(0), Ok(TENTH)));
    assert_eq!(limiter.take(1, SECOND), Err(NotTaken::Refused(TENTH)), "the wait would be two tenths");
    assert_eq!(limiter.take(3, SECOND), Err(NotTaken::Refused(FOR_EVER)));
    let mut reserved = limiter.reserve(2, SECOND, FOR_EVER).unwrap();
    assert_eq!((reserved.wait_ns, limiter.tokens(SECOND)), (3 * TENTH, Ok(-3.0)));
    limiter.set(&Options::token_bucket(20.0, 2), SECOND).unwrap();
    limiter.cancel(&mut reserved, SECOND).unwrap();
    assert_eq!(limiter.tokens(SECOND), Ok(-1.0));
    let mut old = limiter.reserve(1, SECOND, FOR_EVER).unwrap();
    (0..2).for_each(|_| limiter.set(&Options::token_bucket(10.0, 2), SECOND).unwrap());
    limiter.cancel(&mut old, SECOND).unwrap();
    assert_eq!(limiter.tokens(SECOND), Ok(-2.0), "two changes lie between");
}

#[test]
fn retired_and_closed_answer_so() {
    let runtime = open();
    let other = Runtime::attach(runtime.segment().file().as_fd()).unwrap();
    let options = Options::token_bucket(10.0, 5);
    let (here, there) = (runtime.limiter("a", Some(&options)).unwrap(), other.limiter("a", None).unwrap());
    here.take(5, SECOND).unwrap();
    here.retire().unwrap();
    for limiter in [here, there] {
        assert_eq!(limiter.take(1, SECOND), Err(NotTaken::Failed(ErrorKind::Closed)));
        assert_eq!(limiter.tokens(SECOND), Err(ErrorKind::Closed));
        assert_eq!(limiter.options().err().map(|error| error.kind), Some(ErrorKind::Closed));
        assert_eq!(limiter.set(&options, 0).err().map(|error| error.kind), Some(ErrorKind::Closed));
        assert_eq!(limiter.retire().err().map(|error| error.kind), Some(ErrorKind::Closed));
    }
    let again = other.limiter("a", Some(&options)).unwrap();
    assert_eq!(taken(again, SECOND), 5, "a new one");
    let alone = own(&other, options);
    other.close();
    for limiter in [again, alone] {
        assert_eq!(limiter.take(1, SECOND), Err(NotTaken::Failed(ErrorKind::Closed)));
    }
    assert_eq!(other.limiter("a", Some(&options)).err().map(|error| error.kind), Some(ErrorKind::Closed));
}

#[test]
fn many_come_and_go_in_the_room_of_one() {
    let runtime = open();
    let name = |turn: u32| format!("window {turn}");
    let mut used = 0;
    for turn in 0..2000 {
        let limiter = runtime.limiter(&name(turn), Some(&of(Algorithm::SlidingWindow, 3.0))).unwrap();
        assert_eq!(taken(limiter, SECOND), 3, "{turn}");
        limiter.retire().unwrap();
        used = if turn == 100 { runtime.segment().used_bytes() } else { used };
    }
    assert_eq!(runtime.segment().used_bytes(), used);
}

#[test]
fn timed_state_starts_afresh() {
    let runtime = open();
    for (number, options) in all_of(10.0).into_iter().enumerate() {
        let limiter = runtime.limiter(&format!("{number}"), Some(&options)).unwrap();
        let first = taken(limiter, 0);
        limiter.set(&options, 0).unwrap();
        assert_eq!(taken(limiter, 0), 0, "{options:?}");
        runtime.reset_timed_state().unwrap();
        assert_eq!(taken(limiter, 0), first, "{options:?}");
    }
}

#[test]
fn our_clock_that_goes_back_is_noticed() {
    let runtime = open();
    for options in all_of(10.0).into_iter().skip(1) {
        let limiter = own(&runtime, options);
        runtime.clock().set(9000 * SECOND).unwrap();
        assert!(taken(limiter, 0) > 0);
        runtime.clock().set(SECOND).unwrap();
        let _ = limiter.take(1, 0);
        runtime.clock().advance(4 * SECOND).unwrap();
        assert!(limiter.take(1, 0).is_ok(), "{options:?}");
    }
}

/// Time stands still, and the limit changes all the while without a burst that would make tokens: each is taken once.
#[test]
fn a_storm_of_takers_and_changers_takes_each_token_once() {
    let runtime = open();
    let limiter = runtime.limiter("storm", Some(&Options::token_bucket(1000.0, 5000))).unwrap();
    let (done, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0.. {
                // Rounding may not make a token: of powers of two there is none.
                let limit = f64::from(1 << (turn % 4)) * 125.0;
                limiter.set(&Options::token_bucket(limit, 5000), SECOND).unwrap();
                if done.load(Acquire) {
                    return;
                }
            }
        });
        let takers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    (0..20_000)
                        .filter(|_| limiter.take(1, SECOND).is_ok())
                        .for_each(|_| _ = taken.fetch_add(1, Relaxed))
                })
            })
            .collect();
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        done.store(true, Release);
    });
    let (taken, left) = (taken.into_inner(), limiter.tokens(SECOND).unwrap());
    assert!(taken <= 5000, "{taken}");
    assert!((taken as f64 + left - 5000.0).abs() < 1.0, "{taken} and {left}");
}

proptest! {
    /// A limiter of the segment answers as the mathematics alone does, whatever is asked.
    #[test]
    fn a_cell_decides_as_its_mathematics(
        limit in 1u32..1000, burst in 1u64..50,
        steps in prop::collection::vec((0u64..500_000_000, 0u64..60, any::<bool>()), 1..60),
    ) {
        let runtime = open();
        let cell = own(&runtime, Options::token_bucket(limit.into(), burst));
        let alone = tidegate_core::rate::limiter::Limiter::new(limit.into(), burst, 1).unwrap();
        let (word, mut now) = (AtomicU64::new(0), 1);
        for (pause, cost, wait) in steps {
            now += pause;
            let most = if wait { FOR_EVER } else { 0 };
            let mine = cell.reserve(cost, now, most).map(|reserved| reserved.wait_ns).ok();
            let theirs = alone.reserve(&word, now, cost, most).map(|reserved| reserved.wait_ns).ok();
            prop_assert_eq!(mine, theirs);
            prop_assert_eq!(cell.tokens(now).unwrap(), alone.tokens(word.load(Relaxed), now).unwrap());
        }
    }
}
