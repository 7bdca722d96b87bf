//! Places in flight.

use super::*;
use tidegate_core::concurrency::fixed::{self, Held};

#[test]
fn places_in_flight_are_counted_exactly() {
    model(|| {
        let (shared, inside) = (word(0), word(0));
        let in_threads = (shared.clone(), inside.clone());
        let entered = on_threads(3, move |_| {
            let (shared, inside) = &in_threads;
            let Ok(taken) = fixed::take(&**shared, 2, 0) else { return false };
            assert!(inside.0.fetch_add(1, Ordering::AcqRel) < 2, "never more than the limit");
            inside.0.fetch_sub(1, Ordering::AcqRel);
            assert!(fixed::give_back(&**shared, taken.epoch).is_some());
            true
        });
        assert!(entered.iter().filter(|&&ok| ok).count() >= 2);
        assert_eq!(Held::of(shared.get()).inflight(), 0);
    });
}

#[test]
fn a_place_is_given_back_once_by_its_holder_or_by_time() {
    model(|| {
        let shared = word(0);
        let lost = fixed::take(&*shared, 1, 0).unwrap();
        let in_threads = shared.clone();
        let answers = on_threads(2, move |index| match index {
            0 => fixed::give_back(&*in_threads, lost.epoch).map_or(0, |_| 1),
            _ => fixed::take(&*in_threads, 1, 2).map_or(0, |taken| taken.expired),
        });
        assert_eq!(answers[0] + answers[1], 1, "given back by the holder, or expired, never both");
        assert_eq!(Held::of(shared.get()).inflight(), 1, "the second one's place");
    });
}
