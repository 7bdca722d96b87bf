//! Budgets, live figures, the throttle.

use super::*;
use tidegate_core::Criticality;
use tidegate_core::deadline::enough::{Enough, LET_THROUGH, Verdict};
use tidegate_core::retry::budget::Reserve;
use tidegate_core::retry::budget::quota::Quota;
use tidegate_core::retry::budget::ratio::Ratio;
use tidegate_core::retry::budget::{Budget, Price};
use tidegate_core::retry::quantile;
use tidegate_core::throttle::{self, Throttle};

/// A floor of one retry, and a half for each first attempt.
fn half(generation: u64) -> Ratio {
    Ratio::new(0.5, 1.0, SECOND, Reserve::default(), generation).unwrap()
}

#[test]
fn a_ratio_budget_pays_for_what_was_earned_and_no_more() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        let paid = on_threads(3, move |_| {
            half(1).deposit(&*in_threads, 5).unwrap();
            half(1).spend(&*in_threads, Criticality::Default, 5).is_ok()
        });
        let left = (0..4).take_while(|_| half(1).spend(&*shared, Criticality::Default, 5).is_ok()).count();
        assert_eq!(paid.into_iter().filter(|&ok| ok).count() + left, 2, "one of the floor, three halves");
    });
}

#[test]
fn a_ratio_budget_lets_the_floor_flow_in_once() {
    model(|| {
        let shared = word(0);
        half(1).spend(&*shared, Criticality::Default, 5).unwrap();
        let in_threads = shared.clone();
        // One of them is late: its present is the one of before.
        let paid = on_threads(3, move |index| {
            let now = if index == 0 { 5 } else { 2 * SECOND };
            half(1).spend(&*in_threads, Criticality::Default, now).is_ok()
        });
        assert_eq!(paid.into_iter().filter(|&ok| ok).count(), 1);
    });
}

#[test]
fn a_ratio_budget_keeps_its_store_while_its_rule_changes() {
    model(|| {
        let shared = word(0);
        half(1).deposit(&*shared, 5).unwrap();
        let in_threads = shared.clone();
        let answers = on_threads(2, move |index| {
            if index == 0 {
                return half(1).spend(&*in_threads, Criticality::Default, 5).is_ok();
            }
            let seen = in_threads.get();
            let _ = in_threads.swap_if(seen, half(2).rescale(&half(1), seen, 5));
            false
        });
        let seen = shared.get();
        if !half(2).owns(seen) {
            shared.swap_if(seen, half(2).rescale(&half(1), seen, 5)).unwrap();
        }
        half(2).deposit(&*shared, 5).unwrap();
        let left = (0..4).take_while(|_| half(2).spend(&*shared, Criticality::Default, 5).is_ok()).count();
        assert_eq!(usize::from(answers[0]) + left, 2, "none lost, none made");
    });
}

#[test]
fn a_quota_is_never_overdrawn_nor_overfilled() {
    model(|| {
        let quota = Budget::Quota(Quota::new([5, 5, 5, 1], Reserve::default(), 1).unwrap());
        let (shared, out) = (word(0), word(0));
        let in_threads = (shared.clone(), out.clone());
        on_threads(2, move |_| {
            let (shared, out) = &in_threads;
            let Ok(taken) = quota.spend(&**shared, Criticality::Default, Price::Normal, 0) else { return };
            assert!(out.0.fetch_add(1, Ordering::AcqRel) < 1, "one retry is paid for");
            out.0.fetch_sub(1, Ordering::AcqRel);
            quota.succeed(&**shared, taken).unwrap();
        });
        assert_eq!(quota.retries_left(shared.get(), 0), 1);
    });
}

#[test]
fn a_live_figure_is_computed_by_one() {
    model(|| {
        let (shared, computed) = (word(0), word(0));
        let in_threads = (shared.clone(), computed.clone());
        let told = on_threads(3, move |_| {
            let (shared, computed) = &in_threads;
            quantile::read(&**shared, SECOND, || {
                computed.0.fetch_add(1, Ordering::AcqRel);
                Some(2048)
            })
        });
        assert!(told.iter().all(|&ns| ns.is_none() || ns == Some(2048)));
        assert_eq!((computed.get(), quantile::peek(&*shared)), (1, Some(2048)));
    });
}

#[test]
fn one_in_so_many_is_let_through() {
    model(|| {
        let shared = word(LET_THROUGH - 2);
        let verdicts = on_threads(3, move |_| Enough::new(1.0).unwrap().judge(&*shared, 1, Some(9)));
        assert_eq!(verdicts.into_iter().filter(|&verdict| verdict == Verdict::LetThrough).count(), 1);
    });
}

#[test]
fn a_throttle_numbers_every_request() {
    let rule = Throttle::new(1.0, throttle::DEFAULT_WINDOW_NS, 3).unwrap();
    let alone: Vec<_> = (0..throttle::WORDS).map(|_| std::sync::atomic::AtomicU64::new(0)).collect();
    let want = (0..3).filter(|_| rule.admits(&alone, SECOND)).count();
    model(move || {
        let shared = Arc::new((0..throttle::WORDS).map(|_| LoomWord(AtomicU64::new(0))).collect::<Vec<_>>());
        let in_threads = shared.clone();
        let sent = on_threads(3, move |_| rule.admits(&in_threads, SECOND));
        assert_eq!(sent.into_iter().filter(|&ok| ok).count(), want, "the same as one after the other");
        assert_eq!(rule.counts(&shared, SECOND).requests, 3);
    });
}

#[test]
fn a_throttle_in_trouble_refuses_as_many_in_any_order() {
    fn troubled<W: Word>(rule: &Throttle, words: Vec<W>) -> Vec<W> {
        (0..4).for_each(|_| assert!(rule.admits(&words, SECOND)));
        (0..2).for_each(|_| rule.refused_there(&words, SECOND));
        words
    }
    let rule = Throttle::new(1.0, throttle::DEFAULT_WINDOW_NS, 3).unwrap();
    let alone = (0..throttle::WORDS).map(|_| std::sync::atomic::AtomicU64::new(0)).collect();
    let alone = troubled(&rule, alone);
    let want = (0..2).filter(|_| rule.admits(&alone, SECOND)).count();
    assert!(want < 2, "none is refused: {want}");
    model(move || {
        let words = (0..throttle::WORDS).map(|_| LoomWord(AtomicU64::new(0))).collect();
        let shared = Arc::new(troubled(&rule, words));
        let in_threads = shared.clone();
        let sent = on_threads(2, move |_| rule.admits(&in_threads, SECOND));
        assert_eq!(sent.into_iter().filter(|&ok| ok).count(), want, "the same as one after the other");
        assert_eq!(rule.counts(&shared, SECOND).requests, 6);
    });
}

#[test]
fn a_throttle_bucket_begins_anew_once() {
    let rule = Throttle::new(2.0, throttle::DEFAULT_WINDOW_NS, 3).unwrap();
    let later = SECOND + throttle::DEFAULT_WINDOW_NS;
    model(move || {
        let shared = Arc::new((0..throttle::WORDS).map(|_| LoomWord(AtomicU64::new(0))).collect::<Vec<_>>());
        rule.admits(&shared, SECOND);
        let in_threads = shared.clone();
        on_threads(2, move |index| match index {
            0 => assert!(rule.admits(&in_threads, later), "the first of its window"),
            _ => rule.refused_there(&in_threads, later),
        });
        let counts = rule.counts(&shared, later);
        assert_eq!(counts.requests, 1);
        assert!(counts.accepts <= 1, "of which another's refusal may have been taken off");
    });
}
