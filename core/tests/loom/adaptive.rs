//! Adaptive limits and shedding.

use super::*;
use tidegate_core::concurrency::adapt::{Algorithm, Numbers};
use tidegate_core::concurrency::adaptive::{InForce, Words};
use tidegate_core::concurrency::sample::Sum;
use tidegate_core::concurrency::{shed, window};
use tidegate_core::guard::Criticality;

/// Ten milliseconds after which a fresh window is due.
const WINDOW: u64 = SECOND / 100;

#[test]
fn a_window_is_turned_once() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        // The second one comes when the first one's lease has ended.
        let turned = on_threads(2, move |index| {
            let now = index as u64 * SECOND;
            let lease = window::lease(&*in_threads, now, WINDOW);
            lease.is_some_and(|lease| lease.index() == 0 && lease.turn(&*in_threads, now, 60 * SECOND))
        });
        assert!(turned.iter().filter(|&&turned| turned).count() <= 1);
        assert!(window::index_of(shared.get()) <= 1);
    });
}

#[test]
fn a_limit_is_that_of_one_who_turned_a_window() {
    model(|| {
        let shared = Arc::new([0; 5].map(|value| LoomWord(AtomicU64::new(value))));
        let in_threads = shared.clone();
        let numbers = Numbers { window_ns: WINDOW, ..Numbers::new(Algorithm::Gradient2(Default::default())) };
        let turned = on_threads(2, move |index| {
            let [window, limit, memory, round_trip, priority] = &*in_threads;
            let words = Words { window, limit, memory, round_trip, priority };
            let sum = Sum { samples: 100, drops: 0, total_ns: SECOND / 1000, peak: 20 };
            words.turn(&numbers, index as u64 * SECOND, |_| sum).map(|turned| turned.index)
        });
        let mut indices: Vec<_> = turned.into_iter().flatten().collect();
        indices.sort_unstable();
        assert!(indices == [0] || indices == [0, 1], "{indices:?}");
        let limit = InForce::of(shared[1].get(), 20);
        assert!((20..=22).contains(&limit.critical), "{limit:?}");
        assert_eq!(window::index_of(shared[0].get()), indices.len() as u64);
    });
}

#[test]
fn what_a_class_met_is_noted_before_or_after_a_window_turns_and_never_lost() {
    model(|| {
        let shared = word(0);
        let in_threads = shared.clone();
        let answers = on_threads(2, move |index| match index {
            0 => {
                shed::note(&*in_threads, Criticality::Sheddable, true);
                false
            }
            _ => shed::turn(&*in_threads),
        });
        assert!(answers[1] ^ shed::turn(&*shared), "in one of the two windows");
    });
}

#[test]
fn each_refusal_makes_room_once() {
    model(|| {
        let shared = word(0);
        shed::note(&*shared, Criticality::Sheddable, true);
        let in_threads = shared.clone();
        on_threads(2, move |_| shed::note(&*in_threads, Criticality::Critical, false));
        let one_by_one = LoomWord(AtomicU64::new(0));
        shed::note(&one_by_one, Criticality::Sheddable, true);
        shed::note(&one_by_one, Criticality::Critical, false);
        shed::note(&one_by_one, Criticality::Critical, false);
        assert_eq!(shared.get(), one_by_one.get());
    });
}
