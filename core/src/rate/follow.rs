//! A rate that follows pressure: what a call costs any of the rate limits grows with the pressure of a followed guard, so that the rate
//! shrinks. Up to the pressure `from` a call costs what it costs; from `to` on it costs 1 / `floor` as much; in between the rate falls
//! along a straight line.

/// A rule's numbers, ready for decisions. All are in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    from: u32,
    to: u32,
    floor: u32,
}

impl Follow {
    /// The whole rate up to the pressure `from`, `floor` of it from `to` on; in thousandths. None unless `from` < `to` and `floor` is 1 to 1000.
    pub fn new(from: u32, to: u32, floor: u32) -> Option<Follow> {
        (from < to && (1..=1000).contains(&floor)).then_some(Follow { from, to, floor })
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        [u64::from(self.from), u64::from(self.to), u64::from(self.floor), 0, 0, 0, 0, 0]
    }

    /// Reads [`Follow::words`].
    pub fn of(words: [u64; 8]) -> Option<Follow> {
        let [from, to, floor, ..] = words.map(|word| u32::try_from(word).unwrap_or(u32::MAX));
        Follow::new(from, to, floor)
    }

    /// The share of the rate at a pressure, in thousandths, rounded down.
    pub fn factor(&self, pressure: u32) -> u32 {
        let past = u64::from(pressure.clamp(self.from, self.to) - self.from);
        let fall = (past * u64::from(1000 - self.floor)).div_ceil(u64::from(self.to - self.from));
        1000 - fall as u32
    }

    /// What a call of `cost` costs at a pressure, rounded up; no more than `most` (see [`super::Rate::most`]), if the call alone does not cost
    /// more, so that pressure delays a dear call and does not refuse it for ever. **Hot.**
    pub fn cost(&self, cost: u64, pressure: u32, most: u64) -> u64 {
        if pressure <= self.from {
            return cost;
        }
        let scaled = (u128::from(cost) * 1000).div_ceil(u128::from(self.factor(pressure)));
        u64::try_from(scaled).unwrap_or(u64::MAX).min(most.max(cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::token_bucket::Bucket;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn the_rate_falls_along_a_line() {
        let follow = Follow::new(500, 900, 100).unwrap();
        let factors = [0, 500, 501, 700, 899, 900, 1000, u32::MAX].map(|pressure| follow.factor(pressure));
        assert_eq!(factors, [1000, 1000, 997, 550, 102, 100, 100, 100]);
        assert_eq!([0, 500, 700, 900].map(|pressure| follow.cost(11, pressure, 1000)), [11, 11, 20, 110]);
        assert_eq!(follow.cost(11, 900, 50), 50, "as much as can be taken at all");
        assert_eq!(follow.cost(60, 900, 50), 60, "which the limit will refuse");
        assert_eq!(follow.cost(0, 900, 50), 0);
        assert_eq!(follow.cost(u64::MAX, 900, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_line_needs_two_points() {
        assert_eq!(Follow::new(500, 500, 100), None);
        assert_eq!(Follow::new(0, 1000, 0), None);
        assert_eq!(Follow::new(0, 1000, 1001), None);
        assert_eq!(Follow::of([u64::MAX; 8]), None);
        let follow = Follow::new(0, u32::MAX, 1).unwrap();
        assert_eq!(Follow::of(follow.words()), Some(follow));
    }

    #[test]
    fn a_followed_bucket_admits_its_share() {
        let (follow, rule, word) = (
            Follow::new(500, 900, 250).unwrap(),
            Bucket::new(1000.0, 1_000_000_000, 100, 1).unwrap(),
            AtomicU64::new(0),
        );
        let admitted = |from: u64, pressure| {
            (0..100_000u64)
                .filter(|&at| rule.take(&word, from + at * 10_000, follow.cost(1, pressure, 100)).is_ok())
                .count()
        };
        assert_eq!(admitted(0, 500), 100 + 999);
        assert_eq!(admitted(1_000_000_000, 900), 250);
    }

    proptest! {
        #[test]
        fn costs_grow_with_pressure(from in 0u32..900, width in 1u32..2000, floor in 1u32..=1000, cost in 0u64..1 << 40, pressure in 0u32..1000) {
            let follow = Follow::new(from, from + width, floor).unwrap();
            let exact = if pressure <= from { 1.0 } else {
                let share = (f64::from(pressure - from) / f64::from(width)).min(1.0);
                1.0 - share * (1.0 - f64::from(floor) / 1000.0)
            };
            let factor = f64::from(follow.factor(pressure)) / 1000.0;
            prop_assert!(factor <= exact + 1e-9 && factor > exact - 0.0011 && factor * 1000.0 >= f64::from(floor));
            prop_assert!(follow.cost(cost, pressure + 1, u64::MAX) >= follow.cost(cost, pressure, u64::MAX));
        }
    }
}
