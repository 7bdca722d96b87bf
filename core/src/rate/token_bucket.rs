//! The token bucket, as GCRA (the generic cell rate algorithm, ITU-T I.371): one word holds the
//! theoretical arrival time, the moment at which the bucket will be full again.
//!
//! The word: time in eighths of a nanosecond (60 bits, modulo 2⁶⁰: readings that lie less than 2.2 years apart are
//! told apart) | generation of the rule (4 bits). So the difference of two words of a generation is one of times, and
//! one of different generations shows it in its lowest bits. An eighth of a nanosecond bounds the error of one admission, not of one
//! token, so a limit of 10¹⁰ bytes a second is kept to better than 1 % by calls of 13 bytes and to 10⁻⁵ by
//! calls of 10 kB. Costs round up: what is admitted never exceeds the limit.

use super::common::{GENERATION_BITS, GENERATION_MASK};
use crate::word::{Word, update, update_if};

pub use super::common::Refusal;

/// Eighths of a nanosecond.
pub(super) const FRACTION: u32 = 3;
/// Bits that an interval is cut to, beyond which a float's own rounding would count.
const MAX_SHIFT: u32 = 32;
/// Where those leave an interval fewer bits than this (over 1.6 × 10¹⁰ a second), it takes more.
const LEAST_BITS: i32 = 31;
/// The longest time to fill an empty bucket: 2⁵⁸ eighths of a nanosecond.
pub(super) const MAX_FILL: u128 = 1 << 58;

/// A rule's numbers, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Eighths of a nanosecond a token, times 2^shift.
    pub interval: u64,
    /// See `interval`.
    pub shift: u32,
    /// Eighths of a nanosecond that one token takes, rounded up.
    pub unit: u64,
    /// Time to fill an empty bucket, in eighths of a nanosecond.
    pub tolerance: u64,
    /// Which change of the rule these numbers are of: 1 to 15, in a circle. Words of another are stale.
    pub generation: u64,
}

impl Bucket {
    /// The bucket that gains `limit` tokens in `per_ns` and holds `burst`. None when a token takes too
    /// long or filling it would take over a year.
    pub fn new(limit: f64, per_ns: u64, burst: u64, generation: u64) -> Option<Bucket> {
        let ideal = per_ns as f64 * f64::from(1 << FRACTION) / limit;
        if !(ideal.is_finite() && ideal > 0.0 && (1..16).contains(&generation)) {
            return None;
        }
        let bits = |shift| if shift > MAX_SHIFT { LEAST_BITS } else { 62 };
        let fits = |&shift: &u32| ideal * f64::from(shift).exp2() < 2f64.powi(bits(shift));
        let shift = (0..=60).rev().find(fits)?;
        let interval = (ideal * f64::from(shift).exp2()) as u64;
        // As each cost rounds up, so many single ones may take a little more than all at once; but never one token more.
        let (each, more) = (cost_of(interval, shift, 1), cost_of(interval, shift, burst.saturating_add(1)));
        let tolerance = (each * u128::from(burst)).min(more - 1).max(cost_of(interval, shift, burst));
        let possible = interval > 0 && burst > 0 && tolerance <= MAX_FILL;
        let unit = cost_of(interval, shift, 1) as u64;
        possible.then_some(Bucket { interval, shift, unit, tolerance: tolerance as u64, generation })
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        let packed = u64::from(self.shift) | self.generation << 8;
        [self.interval, packed, self.tolerance, self.unit, 0, 0, 0, 0]
    }

    /// Reads [`Bucket::words`]. None for what no bucket has.
    #[inline(always)]
    pub fn of(words: [u64; 8]) -> Option<Bucket> {
        let [interval, packed, tolerance, unit, ..] = words;
        let generation = packed >> 8 & GENERATION_MASK;
        let possible = interval > 0 && u128::from(tolerance) <= MAX_FILL && generation > 0;
        possible.then_some(Bucket { interval, shift: (packed & 63) as u32, unit, tolerance, generation })
    }

    /// Takes `cost` tokens at `now` (ns), or says why not.
    pub fn take<W: Word>(&self, word: &W, now: u64, cost: u64) -> Result<(), Refusal> {
        update(word, |seen| self.step(seen, now, cost).map(|next| (next, ())))
    }

    /// What taking a single token needs.
    pub fn one(&self) -> One {
        One {
            generation: self.generation,
            unit: self.unit << GENERATION_BITS,
            tolerance: self.tolerance << GENERATION_BITS,
        }
    }

    /// Gives `cost` tokens back that were taken and not used. A word of other numbers stays as it is.
    pub fn give_back<W: Word>(&self, word: &W, now: u64, cost: u64) {
        let _: Result<(), Refusal> = update(word, |seen| {
            let used = self.used(seen, now)?;
            Ok((self.word(now, used.saturating_sub(self.time_of(cost))), ()))
        });
    }

    /// The word after taking `cost` at `now`.
    pub fn step(&self, seen: u64, now: u64, cost: u64) -> Result<u64, Refusal> {
        let used = self.used(seen, now)?;
        let cost = self.time_of(cost);
        if cost > self.tolerance {
            return Err(Refusal::Never);
        }
        let next = used + cost;
        if next > self.tolerance {
            return Err(Refusal::Empty((next - self.tolerance).div_ceil(1 << FRACTION)));
        }
        Ok(self.word(now, next))
    }

    /// Takes as many of `most` tokens as are there, and tells how many.
    pub fn take_at_most<W: Word>(&self, word: &W, now: u64, most: u64) -> Result<u64, Refusal> {
        update(word, |seen| {
            let used = self.used(seen, now)?;
            let cost = self.tokens_in(self.tolerance - used).min(most);
            Ok((if cost == 0 { seen } else { self.word(now, used + self.time_of(cost)) }, cost))
        })
    }

    /// How long until `cost` tokens are there, in ns.
    pub fn wait_time(&self, seen: u64, now: u64, cost: u64) -> Result<u64, Refusal> {
        match self.step(seen, now, cost) {
            Ok(_) => Ok(0),
            Err(Refusal::Empty(ns)) => Ok(ns),
            Err(other) => Err(other),
        }
    }

    /// Tokens left.
    pub fn tokens(&self, seen: u64, now: u64) -> Result<f64, Refusal> {
        let left = self.tolerance - self.used(seen, now)?;
        Ok(left as f64 * f64::from(self.shift).exp2() / self.interval as f64)
    }

    /// How many whole tokens so much time is.
    pub(super) fn tokens_in(&self, time: u64) -> u64 {
        u64::try_from((u128::from(time) << self.shift) / u128::from(self.interval.max(1))).unwrap_or(u64::MAX)
    }

    /// The time that `cost` tokens take, saturating.
    #[inline(always)]
    pub(super) fn time_of(&self, cost: u64) -> u64 {
        if cost == 1 {
            return self.unit;
        }
        u64::try_from(cost_of(self.interval, self.shift, cost)).unwrap_or(u64::MAX)
    }

    /// How much of the tolerance is used at `now`: 0 is a full bucket. A word that lies further ahead than
    /// a bucket can be was written before time went back: it counts as empty.
    #[inline(always)]
    pub(super) fn used(&self, seen: u64, now: u64) -> Result<u64, Refusal> {
        let generation = seen & GENERATION_MASK;
        if generation != self.generation {
            return if generation == 0 { Ok(0) } else { Err(Refusal::Stale) };
        }
        Ok((self.ahead(seen, now).max(0) as u64).min(self.tolerance))
    }

    /// How far the word lies ahead of `now`, in eighths of a nanosecond, modulo 2⁶⁰.
    #[inline(always)]
    pub(super) fn ahead(&self, seen: u64, now: u64) -> i64 {
        seen.wrapping_sub(full_at(now, 0)) as i64 >> GENERATION_BITS
    }

    #[inline(always)]
    pub(super) fn word(&self, now: u64, used: u64) -> u64 {
        full_at(now, self.generation).wrapping_add(used << GENERATION_BITS)
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        word & GENERATION_MASK == self.generation || word & GENERATION_MASK == 0
    }

    /// Brings a word to the present that lies further ahead than a bucket can be, because time went back: it is empty now, and
    /// fills from now on. `clock` is read after the word, or a late thread would take time back that has passed.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        let (seen, now) = (word.get(), clock());
        if seen & GENERATION_MASK == self.generation && self.ahead(seen, now) > self.tolerance as i64 {
            // Failing means that another did it, or time went on.
            let _ = word.swap_if(seen, self.word(now, self.tolerance));
        }
    }

    /// The used share of the burst, in thousandths.
    pub fn pressure(&self, seen: u64, now: u64) -> u32 {
        // Of large numbers the lowest bits say nothing; so the product has room in 64 bits.
        let shift = 10u32.saturating_sub(self.tolerance.leading_zeros());
        let used = self.used(seen, now).unwrap_or(0) >> shift;
        (used * 1000 / (self.tolerance >> shift).max(1)) as u32
    }

    /// The word for these numbers that holds as many tokens as `seen` holds under `old`, no more than the
    /// new burst. Words of any other generation stay as they are.
    pub fn rescale(&self, old: &Bucket, seen: u64, now: u64) -> u64 {
        let Ok(used) = old.used(seen, now) else { return seen };
        if seen & GENERATION_MASK == 0 {
            return seen;
        }
        let left = u128::from(old.tolerance - used);
        let tokens_scaled = (left << old.shift) / u128::from(old.interval.max(1));
        let rest = (left << old.shift) % u128::from(old.interval.max(1));
        let whole = cost_of(self.interval, self.shift, tokens_scaled as u64);
        let part = mul_div(rest, u128::from(self.interval), u128::from(old.interval.max(1))) >> self.shift;
        let left = (whole + part).min(u128::from(self.tolerance)) as u64;
        self.word(now, self.tolerance - left)
    }
}

/// A bucket's numbers for taking one token: times are where they stand in the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct One {
    generation: u64,
    unit: u64,
    tolerance: u64,
}

impl One {
    /// Of no limit: takes nothing.
    pub const NEVER: One = One { generation: 0, unit: 1, tolerance: 0 };

    /// Takes one token from a word of these numbers; false when there is none, or the word is another. **Hot.**
    #[inline(always)]
    pub fn take<W: Word>(&self, word: &W, now: u64) -> bool {
        let full = full_at(now, self.generation);
        let common = |seen: u64| {
            let ahead = seen.wrapping_sub(full);
            let next = (ahead as i64).max(0) as u64 + self.unit;
            let takes = ahead & GENERATION_MASK == 0 && next <= self.tolerance;
            if takes { Some(full.wrapping_add(next)) } else { None }
        };
        update_if(word, common).is_some()
    }

    /// The used share of the burst, in thousandths: as [`Bucket::pressure`] tells it.
    #[inline(always)]
    pub fn pressure(&self, seen: u64, now: u64) -> u32 {
        let ahead = seen.wrapping_sub(full_at(now, self.generation));
        let is_mine = ahead & GENERATION_MASK == 0 && self.tolerance != 0;
        if !is_mine || ahead as i64 <= 0 {
            return 0;
        }
        let shift = 10u32.saturating_sub(self.tolerance.leading_zeros());
        ((ahead.min(self.tolerance) >> shift) * 1000 / (self.tolerance >> shift)) as u32
    }
}

/// The word of a bucket that is full at `now` (ns).
#[inline(always)]
pub(super) fn full_at(now: u64, generation: u64) -> u64 {
    (now << (FRACTION + GENERATION_BITS)).wrapping_add(generation)
}

/// What `cost` tokens take of the time, rounded up.
#[inline(always)]
pub(super) fn cost_of(interval: u64, shift: u32, cost: u64) -> u128 {
    let exact = u128::from(interval) * u128::from(cost);
    (exact + ((1u128 << shift) - 1)) >> shift
}

fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    a.checked_mul(b).map_or(u128::MAX, |product| product / c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const SECOND: u64 = 1_000_000_000;

    fn bucket(limit: f64, burst: u64) -> Bucket {
        Bucket::new(limit, SECOND, burst, 1).unwrap()
    }

    #[test]
    fn starts_full_and_refills() {
        let (rule, word) = (bucket(100.0, 20), AtomicU64::new(0));
        for _ in 0..20 {
            assert_eq!(rule.take(&word, 5, 1), Ok(()));
        }
        assert_eq!(rule.take(&word, 5, 1), Err(Refusal::Empty(10_000_000)));
        assert_eq!(rule.take(&word, 5 + 9_999_999, 1), Err(Refusal::Empty(1)));
        assert_eq!(rule.take(&word, 5 + 10_000_000, 1), Ok(()));
    }

    #[test]
    fn cost_over_the_burst_never_fits() {
        let (rule, word) = (bucket(100.0, 20), AtomicU64::new(0));
        assert_eq!(rule.take(&word, 0, 21), Err(Refusal::Never));
        assert_eq!(rule.take(&word, 0, u64::MAX), Err(Refusal::Never));
        assert_eq!(rule.take(&word, 0, 20), Ok(()));
    }

    #[test]
    fn time_that_goes_back_costs_at_most_a_burst() {
        let (rule, word) = (bucket(10.0, 5), AtomicU64::new(0));
        assert_eq!(rule.take(&word, 3600 * SECOND, 5), Ok(()));
        assert_eq!(rule.take(&word, 0, 1), Err(Refusal::Empty(SECOND / 10)));
        rule.rebase(&word, || 0);
        assert_eq!(rule.take(&word, SECOND / 10 - 1, 1), Err(Refusal::Empty(1)));
        assert_eq!(rule.take(&word, SECOND / 10, 1), Ok(()));
        rule.rebase(&word, || SECOND / 10);
        assert_eq!(rule.take(&word, SECOND / 10, 1), Err(Refusal::Empty(SECOND / 10)), "nothing to rebase");
    }

    #[test]
    fn bytes_at_ten_gigabytes_a_second_are_kept() {
        let (rule, word) = (bucket(1e10, 1 << 20), AtomicU64::new(0));
        let mut admitted = 0u64;
        for now in (0..SECOND).step_by(1000) {
            while rule.take(&word, now, 10_000).is_ok() {
                admitted += 10_000;
            }
        }
        let most = 1e10 + (1 << 20) as f64;
        assert!(admitted as f64 <= most && admitted as f64 > most * 0.9999, "{admitted}");
    }

    #[test]
    fn the_largest_rates_are_kept() {
        let rule = bucket(2f64.powi(63), 1 << 63);
        assert_eq!(rule.time_of(1 << 63).abs_diff(8 * SECOND), 0);
        let (rule, word) = (bucket(2f64.powi(63), 1 << 62), AtomicU64::new(0));
        assert_eq!(rule.take(&word, u64::MAX, 1 << 62), Ok(()));
        assert_eq!(rule.take(&word, u64::MAX, 1 << 61), Err(Refusal::Empty(SECOND / 4)));
        assert_eq!(rule.take(&word, u64::MAX, (1 << 62) + (1 << 40)), Err(Refusal::Never));
    }

    #[test]
    fn a_changed_rule_keeps_the_tokens() {
        let (old, word) = (bucket(100.0, 20), AtomicU64::new(0));
        old.take(&word, 0, 15).unwrap();
        let new = Bucket::new(10.0, SECOND, 50, 2).unwrap();
        assert_eq!(new.take(&word, 0, 1), Err(Refusal::Stale));
        word.store(new.rescale(&old, word.load(Relaxed), 0), Relaxed);
        assert_eq!(new.take(&word, 0, 5), Ok(()));
        assert_eq!(new.take(&word, 0, 1), Err(Refusal::Empty(SECOND / 10)));
        assert_eq!(old.take(&word, 0, 1), Err(Refusal::Stale));
    }

    #[test]
    fn tokens_are_told_and_taken_as_far_as_they_go() {
        let (rule, word) = (bucket(10.0, 5), AtomicU64::new(0));
        assert_eq!(rule.take_at_most(&word, 0, 3), Ok(3));
        assert_eq!(rule.tokens(word.load(Relaxed), SECOND / 20), Ok(2.5));
        assert_eq!(rule.wait_time(word.load(Relaxed), 0, 2), Ok(0));
        assert_eq!(rule.wait_time(word.load(Relaxed), 0, 3), Ok(SECOND / 10));
        assert_eq!(rule.wait_time(word.load(Relaxed), 0, 6), Err(Refusal::Never));
        assert_eq!(rule.take_at_most(&word, 0, u64::MAX), Ok(2));
        assert_eq!(rule.take_at_most(&word, 0, 1), Ok(0));
        assert_eq!(Bucket::of(rule.words()), Some(rule));
    }

    #[test]
    fn a_gift_returns_what_was_taken() {
        let (rule, word) = (bucket(1.0, 2), AtomicU64::new(0));
        rule.take(&word, 0, 2).unwrap();
        rule.give_back(&word, 0, 1);
        assert_eq!(rule.take(&word, 0, 1), Ok(()));
        rule.give_back(&word, 0, 10);
        assert_eq!(rule.take(&word, 0, 2), Ok(()), "never more than full");
        assert!(rule.take(&word, 0, 1).is_err());
    }

    #[test]
    fn a_storm_admits_the_models_count() {
        let (rule, word) = (bucket(1000.0, 100), AtomicU64::new(0));
        let now = AtomicU64::new(0);
        let admitted: u64 = std::thread::scope(|scope| {
            let storm =
                || (0..20_000).filter(|_| rule.take(&word, now.fetch_add(1000, Relaxed), 1).is_ok()).count() as u64;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let most = 100 + 80_000 * 1000 / 1_000_000;
        assert!((most - 4..=most).contains(&admitted), "{admitted} of {most}");
    }

    proptest! {
        #[test]
        fn one_token_is_taken_as_any_cost(limit in 1u64..1_000_000, burst in 1u64..100, now in 0u64..1 << 60, away in -100i64..100, unit in 0u32..40) {
            let rule = bucket(limit as f64, burst);
            let seen = rule.word(now.wrapping_add_signed(away << unit), 0);
            let (one, any) = (AtomicU64::new(seen), AtomicU64::new(seen));
            prop_assert_eq!(rule.one().take(&one, now), rule.take(&any, now, 1).is_ok());
            prop_assert_eq!(one.into_inner(), any.into_inner());
            for stale in [0, seen ^ 1] {
                prop_assert!(!rule.one().take(&AtomicU64::new(stale), now));
            }
        }

        #[test]
        fn pressure_is_the_used_share(tolerance in 1u64..1 << 58, used in 0u64..1 << 58) {
            let (used, now) = (used.min(tolerance), 1 << 40);
            let rule = Bucket { interval: 1, shift: 0, unit: 1, tolerance, generation: 3 };
            let exact = u128::from(used) * 1000 / u128::from(tolerance);
            let word = rule.word(now, used);
            let told = u128::from(rule.pressure(word, now));
            prop_assert_eq!(told, u128::from(rule.one().pressure(word, now)));
            prop_assert_eq!(rule.one().pressure(word ^ 1, now), 0);
            prop_assert!(told <= 1000 && told.abs_diff(exact) <= 1, "{} of {}", told, exact);
        }

        /// Tokens as exact fractions: tokens(t) = min(burst, tokens + elapsed × limit / per).
        #[test]
        fn agrees_with_a_plain_token_bucket(
            limit in 1u64..100_000, burst in 1u64..1000,
            calls in prop::collection::vec((0u64..50_000_000, 1u64..20), 1..200),
        ) {
            let (rule, word) = (bucket(limit as f64, burst), AtomicU64::new(0));
            // In units of 1 / (limit-scaled nanoseconds): one token is SECOND of them.
            let full = u128::from(burst) * u128::from(SECOND);
            let (mut level, mut now) = (full, 0);
            for (pause, cost) in calls {
                now += pause;
                level = full.min(level + u128::from(pause) * u128::from(limit));
                let need = u128::from(cost) * u128::from(SECOND);
                let taken = rule.take(&word, now, cost).is_ok();
                // Each admission may round by an eighth of a nanosecond.
                let slack = u128::from(limit) * 64;
                if taken {
                    prop_assert!(level + slack >= need);
                    level = level.saturating_sub(need);
                } else {
                    prop_assert!(need > full || level < need + slack);
                }
            }
        }
    }
}
