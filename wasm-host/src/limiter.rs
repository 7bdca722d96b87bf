//! Limiters for guests: the host's state, so that they are atomic and outlive swaps.
//!
//! The generic cell rate algorithm (ITU-T I.371) on one word: the theoretical arrival time of the
//! next unit, in sixteenths of a nanosecond on the record's clock (2^60 ns are 36 years).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A sixteenth of a nanosecond is the unit of a limiter's word.
const FRACTION_BITS: u32 = 4;
/// The fastest rate: a unit a nanosecond.
const UNITS_PER_NS_MAX: u64 = 1;
/// The longest time that a full burst may take to refill: thirty days.
const REFILL_MAX_NS: u128 = 30 * 24 * 3_600_000_000_000;

/// The numbers of one limiter, as one generation asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    limit: u64,
    per_ns: u64,
    /// How far ahead of now the word may be, in the word's unit.
    tolerance: u64,
}

impl Rate {
    /// `limit` units every `per_ns`, `burst` of them at once. `None` when a number is not positive,
    /// the rate is over a unit a nanosecond, or a full burst takes over thirty days.
    pub fn new(limit: i64, per_ns: i64, burst: i64) -> Option<Self> {
        let positive = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0);
        let (limit, per_ns, burst) = (positive(limit)?, positive(per_ns)?, positive(burst)?);
        if limit / per_ns > UNITS_PER_NS_MAX {
            return None;
        }
        let rate = Self { limit, per_ns, tolerance: 0 };
        let tolerance = rate.time_of(burst)?;
        (u128::from(tolerance >> FRACTION_BITS) <= REFILL_MAX_NS).then_some(Self { tolerance, ..rate })
    }

    /// The time that `units` stand for, in the word's unit; rounded up, so that no more than the
    /// rate is ever given (the error is under a sixteenth of a nanosecond an acquisition).
    fn time_of(&self, units: u64) -> Option<u64> {
        let time = (u128::from(units) * u128::from(self.per_ns)) << FRACTION_BITS;
        u64::try_from(time.div_ceil(u128::from(self.limit))).ok()
    }

    /// The word after `cost` units at `now_ns`, or `None` when they are not there.
    pub fn take(&self, word: u64, now_ns: u64, cost: u64) -> Option<u64> {
        let now = now_ns << FRACTION_BITS;
        let next = word.max(now).checked_add(self.time_of(cost)?)?;
        (next - now <= self.tolerance).then_some(next)
    }
}

/// Takes `cost` units from the limiter in `word`, by one compare-and-swap. A word further ahead
/// than a full burst (the clock went back, or a swap brought a smaller burst) is brought back to
/// that, so that the wait is never longer.
pub(crate) fn acquire(word: &AtomicU64, rate: &Rate, now_ns: u64, cost: u64) -> bool {
    let ceiling = (now_ns << FRACTION_BITS).saturating_add(rate.tolerance);
    let mut old = word.load(Relaxed);
    loop {
        let capped = old.min(ceiling);
        let taken = rate.take(capped, now_ns, cost);
        let new = taken.unwrap_or(capped);
        match word.compare_exchange_weak(old, new, Relaxed, Relaxed) {
            Ok(_) => return taken.is_some(),
            Err(now_there) => old = now_there,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate::new(10, 1_000_000_000, 3).expect("valid");
        let word = AtomicU64::new(0);
        let at = |now| acquire(&word, &rate, now, 1);
        assert_eq!([at(5), at(5), at(5), at(5)], [true, true, true, false]);
        assert!(!at(100_000_004));
        assert!(at(100_000_005));
        assert!(!at(100_000_005));
    }

    #[test]
    fn absurd_numbers_are_refused() {
        for (limit, per, burst) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, 1, 1), (3, 1, 1), (1, i64::MAX, i64::MAX)] {
            assert_eq!(Rate::new(limit, per, burst), None);
        }
        assert!(Rate::new(1, 1, 1).is_some());
    }

    #[test]
    fn a_clock_that_went_back_does_not_wedge_it() {
        let rate = Rate::new(1, 1000, 1).expect("valid");
        let word = AtomicU64::new(0);
        assert!(acquire(&word, &rate, 1 << 50, 1));
        assert!(!acquire(&word, &rate, 10, 1));
        assert!(acquire(&word, &rate, 1010, 1));
    }

    proptest! {
        /// Against a plain bucket of rational tokens.
        #[test]
        fn like_a_bucket(
            limit in 1i64..1000,
            burst in 1i64..50,
            steps in prop::collection::vec((0u64..3_000_000, 1u64..4), 1..200),
        ) {
            const PER: i64 = 1_000_000;
            let rate = Rate::new(limit, PER, burst).expect("valid");
            let word = AtomicU64::new(0);
            let full = i128::from(burst) * i128::from(PER);
            let (mut now, mut bucket) = (1_000_000_000_000u64, full);
            for (pause, cost) in steps {
                now += pause;
                bucket = full.min(bucket + i128::from(pause) * i128::from(limit));
                let need = i128::from(cost) * i128::from(PER);
                let slack = i128::from(limit) * 200;
                let taken = acquire(&word, &rate, now, cost);
                if bucket >= need + slack { prop_assert!(taken); }
                if bucket < need - slack { prop_assert!(!taken); }
                if taken { bucket -= need; }
            }
        }
    }
}
