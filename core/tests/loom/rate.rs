//! Rate limits.

use super::*;
use tidegate_core::rate::fixed_window::FixedWindow;
use tidegate_core::rate::pacing::Pacing;
use tidegate_core::rate::reserve::Reserving;
use tidegate_core::rate::sliding_counter::SlidingCounter;
use tidegate_core::rate::sliding_window::SlidingWindow;
use tidegate_core::rate::token_bucket::{Bucket, Refusal};
use tidegate_core::rate::warm_up::WarmUp;

#[test]
fn a_bucket_gives_no_token_twice() {
    model(|| {
        let (bucket, word) = (Bucket::new(1.0, SECOND, 2, 1).unwrap(), word(0));
        let taken = on_threads(3, move |_| bucket.take(&*word, 5, 1).is_ok());
        assert_eq!(taken.into_iter().filter(|&ok| ok).count(), 2);
    });
}

#[test]
fn a_bucket_keeps_its_tokens_while_its_rule_changes() {
    model(|| {
        let old = Bucket::new(1.0, SECOND, 3, 1).unwrap();
        let new = Bucket::new(2.0, SECOND, 3, 2).unwrap();
        let shared = word(0);
        old.take(&*shared, 0, 1).unwrap();
        let in_threads = shared.clone();
        let answers = on_threads(2, move |index| match index {
            0 => old.take(&*in_threads, 0, 1),
            _ => {
                let seen = in_threads.get();
                let _ = in_threads.swap_if(seen, new.rescale(&old, seen, 0));
                Err(Refusal::Stale)
            }
        });
        // Whoever came too late brings the word over, as a caller does that meets it.
        let seen = shared.get();
        if !new.owns(seen) {
            shared.swap_if(seen, new.rescale(&old, seen, 0)).unwrap();
        }
        let taken = 1 + u64::from(answers[0].is_ok());
        let left = (0..4).take_while(|_| new.take(&*shared, 0, 1).is_ok()).count() as u64;
        assert_eq!(taken + left, 3, "none lost, none made");
    });
}

#[test]
fn a_cancelled_reservation_gives_nobody_the_same_token() {
    model(|| {
        let (rule, shared) = (Reserving::new(1.0, SECOND, 1, 10 * SECOND, 1).unwrap(), word(0));
        rule.take(&*shared, 0, 1).unwrap();
        let mut waits = on_threads(3, move |index| {
            let reservation = rule.reserve(&*shared, 0, 1, u64::MAX).unwrap();
            if index > 0 {
                return Some(reservation.wait_ns);
            }
            rule.cancel(&*shared, 0, &reservation).unwrap();
            None
        });
        waits.sort();
        assert!(waits[1] < waits[2] && waits[1] >= Some(SECOND), "{waits:?}");
    });
}

#[test]
fn a_fixed_window_admits_its_limit_while_it_turns() {
    model(|| {
        let (rule, shared) = (FixedWindow::new(2, 10, 1).unwrap(), word(0));
        rule.take(&*shared, 5, 2).unwrap();
        let in_threads = shared.clone();
        // One reading is late: it counts in the window that it finds open.
        let taken = on_threads(3, move |index| rule.take(&*in_threads, if index == 0 { 9 } else { 12 }, 1).is_ok());
        let turned = taken.iter().filter(|&&ok| ok).count();
        let left = (0..3).take_while(|_| rule.take(&*shared, 19, 1).is_ok()).count();
        assert_eq!(turned + left, 2);
    });
}

#[test]
fn a_sliding_counter_admits_its_estimate_while_it_turns() {
    model(|| {
        let (rule, shared) = (SlidingCounter::new(4, 10, 1).unwrap(), word(0));
        rule.take(&*shared, 5, 4).unwrap();
        let in_threads = shared.clone();
        let taken = on_threads(3, move |index| rule.take(&*in_threads, if index == 0 { 9 } else { 15 }, 1).is_ok());
        let turned = taken.iter().filter(|&&ok| ok).count();
        let left = (0..5).take_while(|_| rule.take(&*shared, 15, 1).is_ok()).count();
        assert_eq!(turned + left, 2, "half of the window before counts still");
    });
}

#[test]
fn paced_calls_have_slots_of_their_own() {
    model(|| {
        let (rule, shared) = (Pacing::new(1.0, 100, 250, 1).unwrap(), word(0));
        let mut waits = on_threads(3, move |index| {
            let wait = rule.take(&*shared, 0, 1).unwrap();
            if index == 0 {
                rule.give_back(&*shared, wait, 1);
                return None;
            }
            Some(wait)
        });
        waits.sort();
        let (first, second) = (waits[1].unwrap(), waits[2].unwrap());
        assert!(second - first >= 100, "{first} {second}");
    });
}

#[test]
fn a_ramps_slots_and_permits_are_taken_once() {
    model(|| {
        let rule = WarmUp::new(10.0, SECOND, SECOND, 3.0, 10 * SECOND, 1).unwrap();
        let (shared, alone) = (word(0), word(0));
        let in_threads = shared.clone();
        let mut waits = on_threads(3, move |_| rule.take(&*in_threads, 7, 1).unwrap());
        waits.sort();
        let expected: Vec<_> = (0..3).map(|_| rule.take(&*alone, 7, 1).unwrap()).collect();
        assert_eq!((waits, shared.get()), (expected, alone.get()));
    });
}

type Buckets = Arc<Vec<LoomWord>>;

fn buckets(count: usize) -> Buckets {
    Arc::new((0..count).map(|_| LoomWord(AtomicU64::new(0))).collect())
}

#[test]
fn a_sliding_window_never_exceeds_its_limit_while_it_moves() {
    model(|| {
        let (rule, shared, buckets) = (SlidingWindow::new(2, 30, 3, 1).unwrap(), word(0), buckets(3));
        rule.take(&*shared, &buckets, 5, 1).unwrap();
        let taken = on_threads(3, move |index| rule.take(&*shared, &buckets, [6, 15, 25][index], 1).is_ok());
        assert_eq!(taken.into_iter().filter(|&ok| ok).count(), 1, "all are in one window");
    });
}

#[test]
fn a_late_mover_takes_no_count_back() {
    model(|| {
        let (rule, shared, buckets) = (SlidingWindow::new(1, 30, 3, 1).unwrap(), word(0), buckets(3));
        rule.take(&*shared, &buckets, 5, 1).unwrap();
        let in_threads = (shared.clone(), buckets.clone());
        let taken = on_threads(2, move |index| {
            let take = |now| rule.take(&*in_threads.0, &in_threads.1, now, 1).is_ok();
            if index == 0 { vec![take(15)] } else { vec![take(35), take(45), take(55)] }
        });
        // Buckets 0 and 3 have their counts in the same word.
        assert_eq!(taken, [vec![false], vec![true, false, false]]);
        assert!(rule.take(&*shared, &buckets, 65, 1).is_ok());
    });
}

#[test]
fn a_sliding_window_counts_what_is_given_back_amid_a_move_at_most_too_long() {
    model(|| {
        let (rule, shared, buckets) = (SlidingWindow::new(2, 20, 2, 1).unwrap(), word(0), buckets(2));
        rule.take(&*shared, &buckets, 5, 1).unwrap();
        let in_threads = (shared.clone(), buckets.clone());
        let taken = on_threads(2, move |index| match index {
            0 => {
                if rule.take(&*in_threads.0, &in_threads.1, 6, 1).is_ok() {
                    rule.give_back(&*in_threads.0, 6, 1);
                }
                0
            }
            _ => (0..2).filter(|_| rule.take(&*in_threads.0, &in_threads.1, 15, 1).is_ok()).count(),
        });
        assert!(taken[1] <= 1);
        assert!(rule.take(&*shared, &buckets, 15, 2).is_err());
    });
}

#[test]
fn a_sliding_windows_change_of_rule_loses_no_count() {
    model(|| {
        let old = SlidingWindow::new(2, 20, 2, 1).unwrap();
        let new = SlidingWindow::new(2, 20, 2, 2).unwrap();
        let (shared, buckets) = (word(0), buckets(2));
        old.take(&*shared, &buckets, 5, 1).unwrap();
        let in_threads = (shared.clone(), buckets.clone());
        let taken = on_threads(2, move |index| {
            let (word, buckets) = &in_threads;
            if index == 0 {
                return u32::from(old.take(&**word, buckets, 15, 1).is_ok());
            }
            let mut seen = word.get();
            while let Err(other) = word.swap_if(seen, new.rescale(&old, seen, buckets, 15)) {
                seen = other;
            }
            (0..3).filter(|_| new.take(&**word, buckets, 15, 1).is_ok()).count() as u32
        });
        assert_eq!(taken.iter().sum::<u32>(), 1);
        assert!(new.take(&*shared, &buckets, 25, 2).is_err(), "what was carried over counts from the change on");
        assert!(new.take(&*shared, &buckets, 35, 2).is_ok());
    });
}
