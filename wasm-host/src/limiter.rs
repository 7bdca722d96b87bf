//! Limiters for guests: token buckets of the host's state, so that they are atomic and outlive swaps.
//!
//! A limiter's word is a time, so that two generations of a policy that ask for different numbers may share it.

use std::sync::atomic::AtomicU64;
use tidegate_core::rate::token_bucket::{Bucket, Refusal};

/// The fastest rate: a unit a nanosecond.
const UNITS_PER_NS_MAX: u64 = 1;

/// The numbers of one limiter, as one generation asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(Bucket);

impl Rate {
    /// `limit` units every `per_ns`, `burst` of them at once. `None` when a number is not positive,
    /// the rate is over a unit a nanosecond, or a full burst takes over a year.
    pub fn new(limit: i64, per_ns: i64, burst: i64) -> Option<Self> {
        let positive = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0);
        let (limit, per_ns, burst) = (positive(limit)?, positive(per_ns)?, positive(burst)?);
        if limit / per_ns > UNITS_PER_NS_MAX {
            return None;
        }
        Bucket::new(limit as f64, per_ns, burst, 1).map(Rate)
    }
}

/// A record may be so old when its guest takes: others have taken at later times meanwhile.
pub(crate) const LATE_NS: u64 = 1_000_000_000;

/// Takes `cost` units from the limiter in `word`. A word further ahead than a full burst and a second (the clock went
/// back, or a swap brought a smaller burst) is brought back to that, so that the wait is never longer.
pub(crate) fn acquire(word: &AtomicU64, rate: &Rate, now_ns: u64, cost: u64) -> bool {
    match rate.0.take(word, now_ns, cost) {
        Ok(()) => true,
        Err(Refusal::Empty(_)) => {
            rate.0.rebase(word, || now_ns.saturating_add(LATE_NS));
            false
        }
        Err(Refusal::Never | Refusal::Stale) => false,
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
        assert!(!acquire(&word, &rate, LATE_NS, 1));
        assert!(acquire(&word, &rate, LATE_NS + 1010, 1));
    }

    #[test]
    fn a_record_that_is_late_gives_nobody_a_unit() {
        let rate = Rate::new(1, 1000, 1).expect("valid");
        let word = AtomicU64::new(0);
        assert!(acquire(&word, &rate, 5_000, 1));
        assert!(!acquire(&word, &rate, 4_000, 1));
        assert!(!acquire(&word, &rate, 5_999, 1));
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
