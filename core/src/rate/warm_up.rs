//! The warm-up ramp: after idling, calls are admitted at `limit / cold_factor`, and the rate climbs to `limit` in `warm_up` of use. There is no
//! burst: calls are spaced, and a call may wait for its slot up to `max_wait`.
//!
//! The mathematics are those of Guava's `SmoothRateLimiter.SmoothWarmingUp`: idling stores permits, up to M, at the rate M / warm_up;
//! a stored permit above the threshold T takes longer than the stable interval s, up to cold_factor × s at M, in proportion; with
//! T = warm_up / 2s and M = T + 2 warm_up / (s + cold_factor × s), spending from M down to T takes warm_up. A call waits for what the calls before
//! it have taken. It begins cold.
//!
//! The word: when the next slot begins, in 1/64 of s | stored permits in sixteenths (as many bits as M needs, at most 24) | generation (4 bits).
//!
//! **Rounding.** Each call's time rounds up to 1/64 of s, so a call of cost 1 may take up to 1.6 % longer than it should while
//! the ramp lasts, and exactly s afterwards. What idling stores rounds up to 1/16 of a permit, to the cold side; with calls that idle
//! between each other the ramp lasts up to 6.3 % longer. Waits round up to nanoseconds. The clock's units round down, so that s itself is kept to better than 10⁻⁶.
//!
//! The slot's time runs in a circle, of 2³⁶ / 64 stable intervals at least. An idleness of half of it looks the same as time that
//! went back: [`WarmUp::rebase`] mends both.

use super::common::{GENERATION_BITS, GENERATION_MASK, Refusal, is_generation, owns, per_mille, saturating, untouched};
use super::grid::Layout;
use crate::word::{Word, update};

/// Units of time in a stable interval.
const UNITS: u64 = 64;
/// Parts of a permit.
const PARTS: u64 = 16;
/// Fixed point of `slope` and `gain`.
const FIXED: u32 = 32;
/// Bits for the slot's time at least.
const TIME_BITS: u32 = 36;
/// Where the largest store and the threshold begin in the word that also has the generation and the shift.
const MAX_AT: u32 = 16;
const THRESHOLD_AT: u32 = MAX_AT + STORED_BITS;
/// A call that costs more would need more than the circle has.
const MOST: u64 = 1 << 54;
/// Bits of the largest store of permits, in parts.
const STORED_BITS: u32 = u64::BITS - GENERATION_BITS - TIME_BITS;
const MOST_STORED: u64 = (1 << STORED_BITS) - 1;

/// A rule's numbers, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmUp {
    /// Units a nanosecond, times 2⁶⁴.
    units: u64,
    length: Length,
    /// Permits that idling stores at most, in parts.
    max: u64,
    /// Above it, permits take longer; in parts.
    threshold: u64,
    /// Units that the permits above the threshold take beyond their stable ones, by the square of their parts, times 2³².
    slope: u64,
    /// Parts stored in a unit of idling, times 2³².
    gain: u64,
    /// In units.
    max_wait: u64,
    /// The dearest call.
    most: u64,
    /// How far ahead the next slot can be, in units.
    reach: u64,
    layout: Layout,
    generation: u64,
}

/// Nanoseconds a unit, in fixed point: a multiplication is cheaper than a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length {
    /// Divided by 2^bits, times 2⁶⁴, rounded down.
    ns: u64,
    /// Of the whole nanoseconds: 1 to 40, as a unit takes 1 ns and more.
    bits: u32,
}

/// A word seen from a moment.
#[derive(Clone, Copy)]
struct Seen {
    /// In units.
    now: u64,
    /// Until the next slot, in units.
    ahead: u64,
    stored: u64,
}

impl WarmUp {
    /// How much slower a cold limit is when nothing is said.
    pub const DEFAULT_COLD_FACTOR: f64 = 3.0;

    /// `limit` in each `per_ns` once it is warm. A call may cost up to `limit`. None for a `cold_factor` below 1 or over 1000; a stable interval of 64 ns or
    /// less, or of over 19 hours; more than 2²⁰ - 1 stored permits (with the factor 3: `limit` × `warm_up`), or none; a queue or a dearest call that lasts a quarter
    /// of the circle; a generation that is none of 1 to 15.
    pub fn new(
        limit: f64,
        per_ns: u64,
        warm_up_ns: u64,
        cold_factor: f64,
        max_wait_ns: u64,
        generation: u64,
    ) -> Option<WarmUp> {
        let stable = per_ns as f64 / limit;
        let units = UNITS as f64 / stable * 2f64.powi(64);
        if !(limit > 0.0 && (1.0..=1000.0).contains(&cold_factor) && units >= 2f64.powi(24) && units < 2f64.powi(64)) {
            return None;
        }
        let permits = warm_up_ns as f64 / stable;
        let threshold = permits / 2.0 * PARTS as f64;
        let max = (threshold + 2.0 * permits / (1.0 + cold_factor) * PARTS as f64).ceil();
        if max > MOST_STORED as f64 {
            return None;
        }
        let (units, max, threshold) = (units as u64, max as u64, threshold as u64);
        if limit >= MOST as f64 {
            return None;
        }
        let above = max.checked_sub(threshold).filter(|&above| above > 0 && warm_up_ns > 0)?;
        let fixed = |value: f64| (value * f64::from(FIXED).exp2()).ceil() as u64;
        let numbers = WarmUp {
            units,
            length: Length::of(units),
            max,
            threshold,
            slope: fixed(2.0 * (cold_factor - 1.0) / above as f64),
            gain: fixed(max as f64 / (permits * UNITS as f64)),
            max_wait: 0,
            most: (limit as u64).max(1),
            reach: 0,
            layout: Layout::new(max, 1, TIME_BITS)?,
            generation,
        };
        let numbers = numbers.with_queue(max_wait_ns);
        let quarter = 1u64 << (u64::BITS - GENERATION_BITS - numbers.layout.count_bits - 2);
        (numbers.reach < quarter && is_generation(generation)).then_some(numbers)?.checked()
    }

    /// Which change of the rule these numbers are of.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        let stored = self.threshold << THRESHOLD_AT | self.max << MAX_AT;
        let packed = stored | u64::from(self.length.bits) << GENERATION_BITS | self.generation;
        [self.units, packed, self.slope, self.gain, self.max_wait, self.most, self.reach, self.length.ns]
    }

    /// Reads [`WarmUp::words`].
    #[inline]
    pub fn of(words: [u64; 8]) -> Option<WarmUp> {
        let [units, packed, slope, gain, max_wait, most, reach, ns] = words;
        let (max, threshold) = (packed >> MAX_AT & MOST_STORED, packed >> THRESHOLD_AT);
        let length = Length { ns, bits: (packed >> GENERATION_BITS & 63) as u32 };
        let (layout, generation) = (Layout::new(max, 1, TIME_BITS)?, packed & GENERATION_MASK);
        WarmUp { units, length, max, threshold, slope, gain, max_wait, most, reach, layout, generation }.checked()
    }

    /// The word after queueing `cost` at `now`, and the wait in ns. A cost of 0 needs no slot.
    #[inline]
    pub fn step(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        self.queue(seen, now, cost).map(|(next, ahead)| (next, self.nanos(ahead)))
    }

    /// The same with the wait in units.
    #[inline]
    pub(super) fn queue(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        let at = self.seen(seen, now)?;
        if cost == 0 {
            return Ok((seen, 0));
        }
        if cost > self.most {
            return Err(Refusal::Never);
        }
        if at.ahead > self.max_wait {
            return Err(Refusal::Empty(self.nanos(at.ahead - self.max_wait)));
        }
        let spent = at.stored.min(cost * PARTS);
        let next = at.now.wrapping_add(at.ahead).wrapping_add(self.time_of(cost, at.stored, spent));
        Ok((self.word(next, at.stored - spent), at.ahead))
    }

    /// Queues `cost` at `now` (ns) and tells the wait in ns. **Hot.**
    pub fn take<W: Word>(&self, word: &W, now: u64, cost: u64) -> Result<u64, Refusal> {
        update(word, |seen| self.queue(seen, now, cost)).map(|ahead| self.nanos(ahead))
    }

    /// Gives back what a call took that was to act at `at` (its `now` and its wait) and does not, if it is the last of the queue; the others' slots
    /// cannot be used again. Where the last permit of the store was spent, it may get colder by the cost than it was.
    pub fn give_back<W: Word>(&self, word: &W, at: u64, cost: u64) {
        let _: Result<(), Refusal> = update(word, |seen| {
            if untouched(seen, self.generation)? || cost > self.most {
                return Ok((seen, ()));
            }
            let left = self.layout.counts(seen)[0];
            let stored = left.saturating_add(cost.saturating_mul(PARTS)).min(self.max);
            let taken = self.time_of(cost, stored, stored.saturating_sub(left));
            // How much later it was told than its slot began: units and nanoseconds were rounded.
            let told = self.layout.behind(seen, self.time(at)).wrapping_add(taken as i64);
            let own = self.time(at).wrapping_sub(told as u64);
            Ok((if (0..=2).contains(&told) { self.word(own, stored) } else { seen }, ()))
        });
    }

    /// The share of the longest queue that calls stand in, in thousandths; without a queue, whether the slot is taken.
    pub fn pressure(&self, seen: u64, now: u64) -> u32 {
        self.seen(seen, now).map_or(0, |at| per_mille(at.ahead, self.max_wait.max(1)))
    }

    /// The rate at which it admits at `now`, as a share of the limit in thousandths: 1000 is warm.
    pub fn warmth(&self, seen: u64, now: u64) -> u32 {
        let above = self.seen(seen, now).map_or(0, |at| at.stored.saturating_sub(self.threshold));
        // The slope of the square: a permit's own time grows by twice of it, in parts.
        let longer = (u128::from(2 * above * PARTS) * u128::from(self.slope)) >> FIXED;
        per_mille(UNITS, UNITS.saturating_add(saturating(longer)))
    }

    /// The word for these numbers with the same share of stored permits as `seen` under `old`, and a queue as long in time, no
    /// longer than it can be under these. Words of any other generation stay as they are.
    pub fn rescale(&self, old: &WarmUp, seen: u64, now: u64) -> u64 {
        let Ok(at) = old.seen(seen, now) else { return seen };
        if seen & GENERATION_MASK == 0 {
            return seen;
        }
        let stored = (u128::from(at.stored) * u128::from(self.max)).div_ceil(u128::from(old.max.max(1))) as u64;
        let ahead = self.time(old.nanos(at.ahead)).min(self.reach);
        self.word(self.time(now).wrapping_add(ahead), stored.min(self.max))
    }

    /// The largest cost.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        owns(word, self.generation)
    }

    /// Brings a word to the present that lies further ahead than a queue can be, because time went back or half a circle was idle: it is cold, and
    /// its next slot is one cold interval away. `clock` is read after the word, or a late thread would take time back that has passed.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        let (seen, now) = (word.get(), clock());
        let ahead = self.layout.behind(seen, self.time(now)).saturating_neg();
        if untouched(seen, self.generation) == Ok(false) && ahead > self.reach as i64 {
            let interval = self.time_of(1, self.max, PARTS.min(self.max));
            // Failing means that another did it, or time went on.
            let _ = word.swap_if(seen, self.word(self.time(now).wrapping_add(interval), self.max));
        }
    }

    fn with_queue(self, max_wait_ns: u64) -> WarmUp {
        let max_wait = self.time(max_wait_ns);
        let dearest = self.time_of(self.most, self.max, self.max.min(self.most.saturating_mul(PARTS)));
        WarmUp { max_wait, reach: max_wait.saturating_add(dearest), ..self }
    }

    /// Unless they are garbage with which no arithmetic works.
    #[inline]
    fn checked(self) -> Option<WarmUp> {
        (self.units > 0 && self.most <= MOST).then_some(self)
    }

    #[inline]
    fn seen(&self, seen: u64, now: u64) -> Result<Seen, Refusal> {
        let now = self.time(now);
        if untouched(seen, self.generation)? {
            return Ok(Seen { now, ahead: 0, stored: self.max });
        }
        let (behind, stored) = (self.layout.behind(seen, now), self.layout.counts(seen)[0]);
        if behind < 0 {
            return Ok(Seen { now, ahead: behind.unsigned_abs().min(self.reach), stored });
        }
        let gained = (u128::from(behind as u64) * u128::from(self.gain)).div_ceil(1 << FIXED);
        Ok(Seen { now, ahead: 0, stored: saturating(gained + u128::from(stored)).min(self.max) })
    }

    /// The units that `cost` takes of which `spent` parts come out of `stored`.
    #[inline]
    fn time_of(&self, cost: u64, stored: u64, spent: u64) -> u64 {
        if stored <= self.threshold {
            return cost * UNITS;
        }
        // What is stored has 24 bits, so that its square fits; that of garbage need not.
        let square = |stored: u64| stored.saturating_sub(self.threshold).wrapping_pow(2);
        let squares = square(stored).wrapping_sub(square(stored.saturating_sub(spent)));
        let longer = (u128::from(squares) * u128::from(self.slope)).div_ceil(1 << FIXED);
        (cost * UNITS).saturating_add(saturating(longer))
    }

    /// A time or length in units, rounded down.
    #[inline]
    fn time(&self, ns: u64) -> u64 {
        ((u128::from(ns) * u128::from(self.units)) >> 64) as u64
    }

    /// A length in ns, rounded up.
    #[inline]
    pub(super) fn nanos(&self, units: u64) -> u64 {
        let shifted = units << self.length.bits;
        if shifted >> self.length.bits != units {
            return self.nanos_of_many(units);
        }
        // Rounded down twice, so that it is never too large, and too small by less than two: by how much, is found out exactly.
        let about = ((u128::from(shifted) * u128::from(self.length.ns)) >> 64) as u64;
        let divisor = u128::from(self.units);
        let rest = (u128::from(units) << 64).wrapping_sub(u128::from(about) * divisor);
        about.wrapping_add(u64::from(rest > 0)).wrapping_add(u64::from(rest > divisor))
    }

    #[cold]
    fn nanos_of_many(&self, units: u64) -> u64 {
        saturating((u128::from(units) << 64).div_ceil(u128::from(self.units)))
    }

    #[inline]
    fn word(&self, next: u64, stored: u64) -> u64 {
        self.layout.word(next, [stored, 0], self.generation)
    }
}

impl Length {
    /// Of so many units a nanosecond, times 2⁶⁴: at least 2.
    fn of(units: u64) -> Length {
        let log2 = units.max(1).ilog2();
        let ns = (1u128 << (64 + log2)) / u128::from(units.max(1));
        Length { ns: u64::try_from(ns).unwrap_or(u64::MAX), bits: 64 - log2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::storm;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const SECOND: u64 = 1_000_000_000;

    /// 1000 a second in 10 s, from a third.
    fn ramp(max_wait: u64) -> WarmUp {
        WarmUp::new(1000.0, SECOND, 10 * SECOND, 3.0, max_wait, 1).unwrap()
    }

    proptest! {
        #[test]
        fn waits_are_rounded_up_exactly(per in 65u64..1 << 46, bits in 0u32..50, units: u64) {
            let rule = WarmUp::new(1.0, per, 1000 * per, 3.0, 0, 1).unwrap();
            let units = units >> (63 - bits);
            prop_assert_eq!(rule.nanos(units), rule.nanos_of_many(units));
        }
    }

    /// How many are admitted in each second when one is offered every 10 µs.
    fn seconds(rule: &WarmUp, word: &AtomicU64, from: u64, count: u64) -> Vec<u64> {
        let offers = |second: u64| (0..100_000).map(move |offer| (from + second) * SECOND + offer * 10_000);
        (0..count).map(|second| offers(second).filter(|&now| rule.take(word, now, 1).is_ok()).count() as u64).collect()
    }

    #[test]
    fn it_climbs_from_a_third_to_the_limit() {
        let (rule, word) = (ramp(0), AtomicU64::new(0));
        assert_eq!(rule.warmth(0, 0), 333);
        let admitted = seconds(&rule, &word, 1, 12);
        assert!((330..350).contains(&admitted[0]) && admitted.is_sorted(), "{admitted:?}");
        assert!((800..=1000).contains(&admitted[9]) && (995..=1000).contains(&admitted[11]), "{admitted:?}");
        let ramp: u64 = admitted[..10].iter().sum();
        assert!((4880..=5000).contains(&ramp), "half of the limit over the warm-up: {ramp}");
        assert_eq!(rule.warmth(word.load(Relaxed), 13 * SECOND), 1000);
        // Ten idle seconds, and it is cold again.
        assert_eq!(rule.warmth(word.load(Relaxed), 23 * SECOND), 333);
        assert!((330..350).contains(&seconds(&rule, &word, 23, 1)[0]));
    }

    #[test]
    fn calls_wait_for_their_slots() {
        let (rule, word) = (ramp(5_000_000), AtomicU64::new(0));
        assert_eq!(rule.take(&word, 0, 1), Ok(0));
        let wait = rule.take(&word, 0, 1).unwrap();
        assert!((2_990_000..=3_050_000).contains(&wait), "{wait}");
        let Err(Refusal::Empty(ns)) = rule.take(&word, 0, 1) else { panic!("the queue is full") };
        assert_eq!(rule.pressure(word.load(Relaxed), 0), 1000);
        assert!(rule.take(&word, ns - 1, 1).is_err());
        assert!(rule.take(&word, ns, 1).unwrap() <= 5_000_000);
        assert_eq!(rule.take(&word, ns, 1001), Err(Refusal::Never));
        assert_eq!(rule.take(&word, ns, 0), Ok(0));
    }

    #[test]
    fn limits_and_times_at_their_ends() {
        let new = |limit, warm_up, factor| WarmUp::new(limit, SECOND, warm_up, factor, 0, 1);
        for (limit, warm_up, factor) in [
            (0.0, SECOND, 3.0),
            (-1.0, SECOND, 3.0),
            (f64::NAN, SECOND, 3.0),
            (f64::INFINITY, SECOND, 3.0),
            (2f64.powi(63), SECOND, 3.0),
            (1e-9, SECOND, 3.0),
            (1000.0, 0, 3.0),
            (1000.0, SECOND, 0.5),
            (1000.0, SECOND, f64::NAN),
            (1e6, 10 * SECOND, 3.0),
        ] {
            assert_eq!(new(limit, warm_up, factor), None, "{limit} {warm_up} {factor}");
        }
        assert_eq!(WarmUp::new(1000.0, SECOND, SECOND, 3.0, u64::MAX, 1), None);
        assert_eq!(WarmUp::new(1000.0, SECOND, SECOND, 3.0, 0, 16), None);
        for (limit, warm_up, factor) in [
            (1.0, SECOND, 3.0),
            (1.0, 1, 3.0),
            (1e5, 10 * SECOND, 3.0),
            (1e7, SECOND / 20, 1000.0),
            (1000.0, SECOND, 1.0),
        ] {
            let rule = new(limit, warm_up, factor).unwrap();
            assert_eq!(WarmUp::of(rule.words()), Some(rule));
            for now in [0, u64::MAX] {
                let word = AtomicU64::new(0);
                assert_eq!(rule.take(&word, now, limit as u64), Ok(0));
                assert!(matches!(rule.take(&word, now, 1), Err(Refusal::Empty(_))));
                assert_eq!(rule.take(&word, now, u64::MAX), Err(Refusal::Never));
            }
        }
        assert_eq!(WarmUp::of([u64::MAX; 8]), None);
        assert_eq!(WarmUp::of([0; 8]), None);
    }

    #[test]
    fn time_that_goes_back_makes_it_cold() {
        let (rule, word) = (ramp(0), AtomicU64::new(0));
        seconds(&rule, &word, 3600, 11);
        assert!(rule.take(&word, 5, 1).is_err());
        rule.rebase(&word, || 5);
        let Err(Refusal::Empty(ns)) = rule.take(&word, 5, 1) else { panic!("one cold interval away") };
        assert!((2_990_000..=3_050_000).contains(&ns), "{ns}");
        assert_eq!(rule.take(&word, 5 + ns, 1), Ok(0));
        let before = word.load(Relaxed);
        rule.rebase(&word, || 5 + ns);
        assert_eq!(word.load(Relaxed), before, "nothing to rebase");
    }

    #[test]
    fn only_the_last_slot_can_be_given_back() {
        let (rule, word) = (ramp(SECOND), AtomicU64::new(0));
        for cost in [1, 7, 900] {
            let acts: Vec<_> = (0..3).map(|_| 777 + rule.take(&word, 777, 1).unwrap()).collect();
            let before = word.load(Relaxed);
            let Ok(wait) = rule.take(&word, 777, cost) else { panic!("{cost}") };
            let full = word.load(Relaxed);
            rule.give_back(&word, acts[1], 1);
            assert_eq!(word.load(Relaxed), full, "others stand behind it");
            rule.give_back(&word, 777 + wait, cost);
            assert_eq!(word.load(Relaxed), before);
        }
        let warm = WarmUp::new(1000.0, SECOND, 2_000_000, 3.0, SECOND, 1).unwrap();
        let word = AtomicU64::new(0);
        warm.take(&word, 5, 9).unwrap();
        let (before, wait) = (word.load(Relaxed), warm.take(&word, 5, 1).unwrap());
        warm.give_back(&word, 5 + wait, 1);
        let after = word.load(Relaxed);
        assert_eq!(warm.layout.behind(before, 0), warm.layout.behind(after, 0), "the slot");
        assert_eq!(warm.layout.counts(after)[0], PARTS, "colder by its cost");
    }

    #[test]
    fn a_changed_rule_keeps_warmth_and_queue() {
        let (old, word) = (ramp(SECOND), AtomicU64::new(0));
        seconds(&old, &word, 0, 4);
        let now = 4 * SECOND + SECOND / 10;
        let warmth = old.warmth(word.load(Relaxed), now);
        assert!(warmth > 400);
        let new = WarmUp::new(200.0, SECOND, 5 * SECOND, 3.0, SECOND, 2).unwrap();
        assert_eq!(new.take(&word, now, 1), Err(Refusal::Stale));
        let wait = old.step(word.load(Relaxed), now, 1).unwrap().1;
        word.store(new.rescale(&old, word.load(Relaxed), now), Relaxed);
        assert!(new.warmth(word.load(Relaxed), now).abs_diff(warmth) <= 2);
        assert!(new.take(&word, now, 1).unwrap().abs_diff(wait) < 200_000, "to a unit");
        assert!(new.owns(word.load(Relaxed)) && !old.owns(word.load(Relaxed)) && old.owns(0));
    }

    #[test]
    fn a_storm_admits_the_models_count() {
        let (rule, word) = (ramp(SECOND), AtomicU64::new(0));
        let alone = AtomicU64::new(0);
        let expected = (0..storm::OFFERS).filter(|_| rule.take(&alone, 7, 1).is_ok()).count() as u64;
        assert_eq!(storm::still(7, |now, cost| rule.take(&word, now, cost).is_ok()), expected);
        assert_eq!(word.into_inner(), alone.into_inner());
        // Twenty seconds with ten offers a stable interval: half the limit in the first ten, then the limit. A slot is found up to a
        // tenth of an interval late.
        let (rule, word) = (WarmUp::new(100.0, SECOND, 10 * SECOND, 3.0, 0, 1).unwrap(), AtomicU64::new(0));
        let take = |now, cost| rule.take(&word, now, cost).is_ok();
        let admitted: u64 = storm::running(0, SECOND / 1000, take).iter().map(|&(admitted, _)| admitted).sum();
        let most = 500 + 1000;
        assert!((most * 8 / 10..=most + 1).contains(&admitted), "{admitted}");
    }

    proptest! {
        /// Guava's mathematics in floats, within the stated rounding.
        #[test]
        fn agrees_with_a_plain_ramp(
            limit in 1u64..10_000, warm_up in SECOND / 10..20 * SECOND, factor in 1u32..10, max_wait in 0u64..SECOND,
            calls in prop::collection::vec((0u32..30, 1u64..4), 1..200),
        ) {
            let factor = f64::from(factor);
            let rule = WarmUp::new(limit as f64, SECOND, warm_up, factor, max_wait, 1).unwrap();
            let stable = SECOND as f64 / limit as f64;
            let threshold = warm_up as f64 / stable / 2.0;
            let max = threshold + 2.0 * warm_up as f64 / (stable * (1.0 + factor));
            let slope = stable * (factor - 1.0) / (max - threshold);
            let (word, mut now) = (AtomicU64::new(0), 0u64);
            for (pause, cost) in calls {
                now += (f64::from(pause) * stable / 7.0) as u64;
                // Each step from what the word says, so that roundings do not add up.
                let seen = word.load(Relaxed);
                let at = rule.seen(seen, now).unwrap();
                let (stored, ahead) = (at.stored as f64 / PARTS as f64, at.ahead as f64 * stable / UNITS as f64);
                match rule.take(&word, now, cost) {
                    Ok(wait) => {
                        prop_assert!((wait as f64 - ahead).abs() <= 2.0 + ahead * 1e-6);
                        let above = |stored: f64| (stored - threshold).max(0.0);
                        let rest = (stored - cost as f64).max(0.0);
                        let longer = slope * (above(stored).powi(2) - above(rest).powi(2)) / 2.0;
                        let after = rule.seen(word.load(Relaxed), now).unwrap();
                        let took = (after.ahead as f64 - at.ahead as f64) * stable / UNITS as f64;
                        let exact = cost as f64 * stable + longer;
                        // A part of a permit more or less, where the threshold and the most are rounded to.
                        let slack = stable * (1.1 / UNITS as f64 + 2.0 * cost as f64 * factor / PARTS as f64 / (max - threshold).max(1.0));
                        prop_assert!((took - exact).abs() <= slack + 1e-3, "{} instead of {} +- {}", took, exact, slack);
                        prop_assert!((after.stored as f64 / PARTS as f64 - rest).abs() < 1e-9);
                        // Idling stores in proportion.
                        let idle = rule.seen(word.load(Relaxed), now + rule.nanos(after.ahead) + warm_up / 10).unwrap();
                        let grown = (rest + max / 10.0).min(max);
                        prop_assert!((idle.stored as f64 / PARTS as f64 - grown).abs() <= 0.2 + max * 1e-3);
                    }
                    Err(Refusal::Empty(_)) => prop_assert!(ahead + stable / UNITS as f64 + 1.0 >= max_wait as f64),
                    refusal => prop_assert!(refusal == Err(Refusal::Never) && cost > limit),
                }
            }
        }
    }
}
