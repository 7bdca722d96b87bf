//! The bounds at which histograms are shown.
//!
//! Recorded are 16 buckets an octave; shown are fixed powers of two, where the counts are exact. Fixed, since buckets
//! that come and go break rates and sums over instances.

use crate::number::bound;
use std::sync::LazyLock;
use tidegate_core::metrics::histogram::{Histogram, bucket_of};

/// Bounds of durations: every octave from 2⁻¹⁷ s (7.6 µs) to 2⁷ s (128 s).
pub static SECONDS: LazyLock<Ladder> = LazyLock::new(|| Ladder::new(-17..=7, 1));
/// Bounds of everything else: every second octave from 2⁻¹⁰ (0.001) to 2⁴⁰ (1.1 × 10¹²).
pub static OTHERS: LazyLock<Ladder> = LazyLock::new(|| Ladder::new(-10..=40, 2));

/// A set of bounds.
pub struct Ladder(Vec<Rung>);

struct Rung {
    bound: String,
    /// How many buckets lie at or below it.
    buckets: usize,
}

impl Ladder {
    fn new(exponents: std::ops::RangeInclusive<i32>, step: usize) -> Self {
        let rung = |exponent: i32| {
            let value = f64::from(exponent).exp2();
            Rung { bound: bound(value), buckets: bucket_of(value).map_or(0, |bucket| bucket + 1) }
        };
        Ladder(exponents.step_by(step).map(rung).collect())
    }

    /// The bounds for a metric of this name.
    pub fn of(base: &str) -> &'static Ladder {
        if base.ends_with("_seconds") { &SECONDS } else { &OTHERS }
    }

    /// Shows each bound with the number of values up to it; gives the number of all values.
    pub fn climb(&self, values: &Histogram, mut show: impl FnMut(&str, u64)) -> u64 {
        let (mut rest, mut below, mut upto) = (values.buckets.as_slice(), 0, values.zero);
        for rung in &self.0 {
            let (these, others) = rest.split_at((rung.buckets - below).min(rest.len()));
            (rest, below, upto) = (others, rung.buckets, sum(upto, these));
            show(&rung.bound, upto);
        }
        sum(upto, rest)
    }
}

/// Saturating, since the counts come from memory that others write too.
fn sum(start: u64, buckets: &[u64]) -> u64 {
    buckets.iter().fold(start, |sum, n| sum.saturating_add(*n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_core::metrics::histogram::BUCKETS;

    fn climbed(ladder: &Ladder, values: &Histogram) -> (Vec<(f64, u64)>, u64) {
        let mut shown = Vec::new();
        let count = ladder.climb(values, |bound, upto| shown.push((bound.parse().unwrap(), upto)));
        (shown, count)
    }

    #[test]
    fn the_ladders_are_as_documented() {
        let ends =
            |ladder: &Ladder| (ladder.0.len(), ladder.0[0].bound.clone(), ladder.0.last().unwrap().bound.clone());
        assert_eq!(ends(&SECONDS), (25, "7.62939453125e-06".into(), "128.0".into()));
        assert_eq!(ends(&OTHERS), (26, "0.0009765625".into(), "1.099511627776e+12".into()));
    }

    #[test]
    fn a_garbled_histogram_saturates() {
        let values = Histogram { zero: u64::MAX, buckets: vec![u64::MAX; BUCKETS], ..Histogram::default() };
        assert_eq!(climbed(&SECONDS, &values).1, u64::MAX);
    }

    proptest! {
        #[test]
        fn bounds_count_exactly(recorded in prop::collection::vec(1e-12f64..1e14, 0..100)) {
            let mut values = Histogram::default();
            for value in &recorded {
                match bucket_of(*value) {
                    None => values.zero += 1,
                    Some(bucket) => {
                        values.buckets.resize(values.buckets.len().max(bucket + 1), 0);
                        values.buckets[bucket] += 1;
                    }
                }
            }
            for ladder in [&*SECONDS, &*OTHERS] {
                let (shown, count) = climbed(ladder, &values);
                prop_assert_eq!(count, recorded.len() as u64);
                for (bound, upto) in shown {
                    prop_assert_eq!(upto, recorded.iter().filter(|value| **value <= bound).count() as u64);
                    prop_assert_eq!(upto, values.count_up_to(bound));
                }
            }
        }
    }
}
