//! Pacing: calls are spaced evenly, as a leaky bucket lets them out of a queue (the GCRA of ITU-T I.371 without a burst). A call waits for its slot, if
//! that is at most `max_wait` ahead; else it is refused. A call of cost n holds n slots, its own first, so that it is the next call that
//! waits for them.
//!
//! The word: when the next slot begins, as in [`super::token_bucket`] (eighths of a nanosecond modulo 2⁶⁰, generation). Slots are spaced
//! exactly; waits are told in whole nanoseconds, rounded up, so two calls may act up to one nanosecond closer than their slots.

use super::common::{GENERATION_BITS, GENERATION_MASK, Refusal, is_generation, owns, per_mille};
use super::token_bucket::{Bucket, FRACTION, full_at};
use crate::word::{Word, update};

/// The longest queue in time, 2⁵⁷ eighths of a nanosecond: 208 days.
const MAX_WAIT: u64 = 1 << 57;

/// A rule's numbers, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Its tolerance is what the dearest call takes: the slots of one `per`, at least one slot.
    slots: Bucket,
    /// In eighths of a nanosecond.
    max_wait: u64,
}

impl Pacing {
    /// `limit` slots in each `per_ns`, evenly; at most `max_wait_ns` in the queue (208 days at most). A call may cost up to `limit`. None for a
    /// limit that is not above 0 or whose slots last over a year, or a generation that is none of 1 to 15.
    pub fn new(limit: f64, per_ns: u64, max_wait_ns: u64, generation: u64) -> Option<Pacing> {
        let most = (limit as u64).max(1);
        let slots = Bucket::new(limit, per_ns, most, generation)?;
        let max_wait = max_wait_ns.checked_mul(1 << FRACTION).filter(|&wait| wait <= MAX_WAIT)?;
        Some(Pacing { slots, max_wait })
    }

    /// Which change of the rule these numbers are of.
    pub fn generation(&self) -> u64 {
        self.slots.generation
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        let mut words = self.slots.words();
        words[4] = self.max_wait;
        words
    }

    /// Reads [`Pacing::words`].
    #[inline]
    pub fn of(words: [u64; 8]) -> Option<Pacing> {
        let slots = Bucket::of(words)?;
        (is_generation(slots.generation) && words[4] <= MAX_WAIT).then_some(Pacing { slots, max_wait: words[4] })
    }

    /// The word after queueing `cost` at `now`, and the wait in ns. A cost of 0 needs no slot.
    #[inline]
    pub fn step(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        let queue = self.queue(seen, now)?;
        if cost == 0 {
            return Ok((seen, 0));
        }
        let length = self.slots.time_of(cost);
        if length > self.slots.tolerance {
            return Err(Refusal::Never);
        }
        if queue > self.max_wait {
            return Err(Refusal::Empty((queue - self.max_wait).div_ceil(1 << FRACTION)));
        }
        Ok((self.slots.word(now, queue + length), queue.div_ceil(1 << FRACTION)))
    }

    /// Queues `cost` at `now` (ns) and tells the wait in ns. **Hot.**
    pub fn take<W: Word>(&self, word: &W, now: u64, cost: u64) -> Result<u64, Refusal> {
        update(word, |seen| self.step(seen, now, cost))
    }

    /// Gives the slots back of a call that was to act at `at` (its `now` and its wait) and does not, if they are the last of the queue. The others'
    /// cannot be used again: calls that stand behind them have been told their times.
    pub fn give_back<W: Word>(&self, word: &W, at: u64, cost: u64) {
        let length = self.slots.time_of(cost);
        let _: Result<(), Refusal> = update(word, |seen| {
            if seen & GENERATION_MASK != self.slots.generation || length > self.slots.tolerance {
                return Ok((seen, ()));
            }
            let own = seen.wrapping_sub(length << GENERATION_BITS);
            let told = full_at(at, self.slots.generation).wrapping_sub(own) as i64 >> GENERATION_BITS;
            // Rounding up to whole nanoseconds told it so much later at most.
            let last = (0..1 << FRACTION).contains(&told);
            Ok((if last { own } else { seen }, ()))
        });
    }

    /// The share of the longest queue that calls stand in, in thousandths; without a queue, whether the slot is taken.
    pub fn pressure(&self, seen: u64, now: u64) -> u32 {
        let queue = self.queue(seen, now).unwrap_or(0);
        per_mille(queue, self.max_wait.max(1))
    }

    /// The word for these numbers in which the queue is as long in time as in `seen` under `old`, as those who wait have been told
    /// their times; no longer than it can be under these. Words of any other generation stay as they are.
    pub fn rescale(&self, old: &Pacing, seen: u64, now: u64) -> u64 {
        match old.queue(seen, now) {
            Ok(queue) if seen & GENERATION_MASK != 0 => self.slots.word(now, queue.min(self.reach())),
            _ => seen,
        }
    }

    /// The largest cost.
    pub fn most(&self) -> u64 {
        self.slots.tokens_in(self.slots.tolerance)
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        owns(word, self.slots.generation)
    }

    /// Brings a word to the present that lies further ahead than a queue can be, because time went back: it is as long as it can be, and gets shorter
    /// from now on. `clock` is read after the word, or a late thread would take time back that has passed.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        let (seen, now) = (word.get(), clock());
        if seen & GENERATION_MASK == self.slots.generation && self.slots.ahead(seen, now) > self.reach() as i64 {
            // Failing means that another did it, or time went on.
            let _ = word.swap_if(seen, self.slots.word(now, self.reach()));
        }
    }

    /// The longest queue that a call can leave behind it, less than half the circle.
    fn reach(&self) -> u64 {
        self.max_wait + self.slots.tolerance
    }

    /// The time until the next slot, in eighths of a nanosecond.
    #[inline]
    fn queue(&self, seen: u64, now: u64) -> Result<u64, Refusal> {
        if super::common::untouched(seen, self.slots.generation)? {
            return Ok(0);
        }
        Ok((self.slots.ahead(seen, now).max(0) as u64).min(self.reach()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::storm;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const SECOND: u64 = 1_000_000_000;

    /// A slot every 100 ns, a queue of 250 ns.
    fn pacing() -> Pacing {
        Pacing::new(10_000_000.0, SECOND, 250, 1).unwrap()
    }

    #[test]
    fn calls_are_spaced_and_the_queue_is_bounded() {
        let (rule, word) = (pacing(), AtomicU64::new(0));
        assert_eq!(rule.take(&word, 1000, 1), Ok(0));
        assert_eq!(rule.take(&word, 1000, 1), Ok(100));
        assert_eq!(rule.take(&word, 1050, 1), Ok(150));
        assert_eq!(rule.pressure(word.load(Relaxed), 1050), 1000);
        assert_eq!(rule.take(&word, 1049, 1), Err(Refusal::Empty(1)));
        assert_eq!(rule.take(&word, 1050, 2), Ok(250), "two slots, of which it waits for the first");
        assert_eq!(rule.take(&word, 1250, 1), Ok(250));
        assert_eq!(rule.take(&word, 1600, 1), Ok(0), "the queue has run empty");
        assert_eq!(rule.take(&word, 5000, 1), Ok(0), "idleness saves nothing up");
        assert_eq!(rule.take(&word, 5000, 1), Ok(100));
        assert_eq!(rule.take(&word, 5000, 0), Ok(0));
    }

    #[test]
    fn without_a_queue_it_refuses() {
        let (rule, word) = (Pacing::new(1.0, SECOND, 0, 1).unwrap(), AtomicU64::new(0));
        assert_eq!(rule.take(&word, u64::MAX, 1), Ok(0));
        assert_eq!(rule.take(&word, u64::MAX, 1), Err(Refusal::Empty(SECOND)));
        assert_eq!(rule.take(&word, u64::MAX, 2), Err(Refusal::Never));
        assert_eq!(rule.take(&word, u64::MAX, u64::MAX), Err(Refusal::Never));
        assert_eq!(rule.pressure(word.load(Relaxed), u64::MAX), 1000);
    }

    #[test]
    fn limits_at_their_ends() {
        for (limit, per, wait) in [
            (0.0, SECOND, 0),
            (-1.0, SECOND, 0),
            (f64::NAN, SECOND, 0),
            (f64::INFINITY, SECOND, 0),
            (1.0, u64::MAX, 0),
            (1.0, SECOND, u64::MAX),
            (1.0, 0, 0),
        ] {
            assert_eq!(Pacing::new(limit, per, wait, 1), None);
        }
        assert_eq!(Pacing::new(1.0, SECOND, 0, 16), None);
        let fast = Pacing::new(2f64.powi(63), SECOND, 0, 1).unwrap();
        let word = AtomicU64::new(0);
        assert_eq!(fast.take(&word, 0, 1 << 63), Ok(0));
        assert_eq!(fast.take(&word, 0, 1), Err(Refusal::Empty(SECOND)));
        assert_eq!(Pacing::of(fast.words()), Some(fast));
        assert_eq!(Pacing::of([u64::MAX; 8]), None);
    }

    #[test]
    fn time_that_goes_back_costs_at_most_a_queue() {
        let (rule, word) = (pacing(), AtomicU64::new(0));
        rule.take(&word, 3600 * SECOND, 1).unwrap();
        assert!(rule.take(&word, 0, 1).is_err());
        rule.rebase(&word, || 0);
        assert_eq!(rule.take(&word, 0, 1), Err(Refusal::Empty(SECOND)), "the dearest call may have gone");
        assert_eq!(rule.take(&word, SECOND, 1), Ok(250));
        let before = word.load(Relaxed);
        rule.rebase(&word, || SECOND);
        assert_eq!(word.load(Relaxed), before, "nothing to rebase");
    }

    #[test]
    fn only_the_last_slot_can_be_given_back() {
        // Slots of 333.3 ns, and told times are whole.
        let (rule, word) = (Pacing::new(3_000_000.0, SECOND, 2000, 1).unwrap(), AtomicU64::new(0));
        let acts: Vec<_> = (0..4).map(|_| 7 + rule.take(&word, 7, 1).unwrap()).collect();
        assert_eq!(acts, [7, 341, 674, 1008], "slots are of 333.375 ns: eighths, rounded up");
        let full = word.load(Relaxed);
        rule.give_back(&word, acts[1], 1);
        assert_eq!(word.load(Relaxed), full, "others stand behind it");
        rule.give_back(&word, acts[3], 1);
        rule.give_back(&word, acts[3], 1);
        assert_eq!(rule.take(&word, 8, 1), Ok(1000), "given back once");
        assert_eq!(word.load(Relaxed), full);
        rule.give_back(&word, acts[3], u64::MAX);
        assert_eq!(word.load(Relaxed), full);
    }

    #[test]
    fn a_changed_rule_keeps_the_queue() {
        let (old, word) = (pacing(), AtomicU64::new(0));
        old.take(&word, 0, 2).unwrap();
        let new = Pacing::new(1000.0, SECOND, SECOND, 2).unwrap();
        assert_eq!(new.take(&word, 0, 1), Err(Refusal::Stale));
        word.store(new.rescale(&old, word.load(Relaxed), 50), Relaxed);
        assert_eq!(new.take(&word, 50, 1), Ok(150));
        assert_eq!(new.take(&word, 50, 1), Ok(1_000_150));
        assert!(!old.owns(word.load(Relaxed)) && new.owns(word.load(Relaxed)) && new.owns(0));
    }

    #[test]
    fn a_storm_admits_the_models_count() {
        let (rule, word) = (pacing(), AtomicU64::new(0));
        let take = |now, cost| rule.take(&word, now, cost).is_ok();
        assert_eq!(storm::still(500, take), 3, "slots at 500, 600 and 700");
        // A slot in each ten offers; at the end the queue holds three more at most.
        let admitted: u64 = storm::running(10_000, 10, take).iter().map(|&(admitted, _)| admitted).sum();
        let slots = storm::OFFERS / 10;
        assert!((slots - 1..=slots + 4).contains(&admitted), "{admitted} of {slots}");
    }

    proptest! {
        /// Slots as exact fractions of a nanosecond.
        #[test]
        fn agrees_with_a_plain_queue(limit in 1u64..1_000_000, max_wait in 0u64..100_000_000, calls in prop::collection::vec((0u64..5_000_000, 1u64..4), 1..200)) {
            let (rule, word) = (Pacing::new(limit as f64, SECOND, max_wait, 1).unwrap(), AtomicU64::new(0));
            let (mut now, mut next) = (0u64, 0u128);
            let scaled = |ns: u64| u128::from(ns) * u128::from(limit);
            for (index, (pause, cost)) in calls.into_iter().enumerate() {
                now += pause;
                // Each call rounds up by an eighth of a nanosecond.
                let slack = u128::from(limit) * (index as u128 / 8 + 2);
                let slot = next.max(scaled(now));
                let queue = slot - scaled(now);
                match rule.take(&word, now, cost) {
                    Ok(wait) => {
                        prop_assert!(scaled(wait) + u128::from(limit) > queue.saturating_sub(slack) && scaled(wait) <= queue + slack);
                        prop_assert!(wait <= max_wait);
                        next = slot + u128::from(cost) * u128::from(SECOND);
                    }
                    Err(Refusal::Never) => prop_assert!(cost > limit),
                    Err(refusal) => prop_assert!(queue + slack > scaled(max_wait), "{:?}", refusal),
                }
            }
        }
    }
}
