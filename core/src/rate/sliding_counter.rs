//! The sliding counter: an approximate sliding window in one word. It counts in fixed windows of `per`, and takes the calls of the
//! window before to have come evenly: at the share f of a window, `previous × (1 − f) + current` calls are in the last `per`. (As Cloudflare's
//! limiter does it: "How we built rate limiting capable of scaling to millions of domains", 2017.) That estimate never exceeds the limit.
//!
//! **Error.** With L the limit, at a moment that lies at share f of its window:
//! - too many: the last `per` may hold up to L + L·f calls, so fewer than 2 L, when all of the window before came at its end. They do not come
//!   at one moment as with a fixed window: any stretch of d ≤ `per` admits at most L + L·d/per;
//! - too few: a call is refused while the last `per` holds fewer than L by up to `previous × (1 − f)`, when all of the window before came at
//!   its beginning.
//!
//! The word: index | previous count | current count | generation (4 bits). A count has as many bits as the limit needs, at most 22, the index
//! what is left, at least 16, in a circle. A reading that is older than the word's window counts as its beginning. An idleness of
//! half the circle (2¹⁵ windows at the largest limits, 2³⁵ at 1000) looks the same as time that went back; [`SlidingCounter::rebase`] mends both.

use super::common::{Refusal, owns, per_mille, saturating, untouched};
use super::counted::Counted;
use super::grid::Grid;
use crate::word::{Word, update};

/// A rule's numbers, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingCounter {
    counted: Counted,
}

/// A word seen from a moment.
#[derive(Clone, Copy)]
struct Seen {
    index: u64,
    current: u64,
    previous: u64,
    /// Since the window began, in ns.
    since: u64,
    /// Until it begins, when the reading is older.
    lead: u128,
}

impl SlidingCounter {
    /// The largest limit: 2²² - 1.
    pub const MAX_LIMIT: u64 = (1 << 22) - 1;

    /// About `limit` in any `per_ns`. None for a limit of 0 or above [`SlidingCounter::MAX_LIMIT`], no `per_ns`, or a generation that is none
    /// of 1 to 15.
    pub fn new(limit: u64, per_ns: u64, generation: u64) -> Option<SlidingCounter> {
        let counted = Counted::new(limit, Grid::new(per_ns)?, 2, 16, generation)?;
        Some(SlidingCounter { counted })
    }

    /// Which change of the rule these numbers are of.
    pub fn generation(&self) -> u64 {
        self.counted.generation
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        let [a, b, c, d] = self.counted.words();
        [a, b, c, d, 0, 0, 0, 0]
    }

    /// Reads [`SlidingCounter::words`].
    #[inline]
    pub fn of([a, b, c, d, ..]: [u64; 8]) -> Option<SlidingCounter> {
        Some(SlidingCounter { counted: Counted::of([a, b, c, d], 2, 16)? })
    }

    /// The word after taking `cost` at `now`, and the wait, which is none.
    #[inline]
    pub fn step(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        let at = self.seen(seen, now)?;
        if cost > self.counted.limit {
            return Err(Refusal::Never);
        }
        if cost == 0 {
            return Ok((seen, 0));
        }
        // As many as both windows hold are no fewer than the estimate.
        if at.current + cost + at.previous > self.counted.limit {
            self.has_room(seen, now, cost)?;
        }
        Ok((self.word(Seen { current: at.current + cost, ..at }), 0))
    }

    /// Whether the estimate is within the limit with `cost` more.
    #[cold]
    #[inline(never)]
    fn has_room(&self, seen: u64, now: u64, cost: u64) -> Result<(), Refusal> {
        let at = self.seen(seen, now)?;
        let with = self.estimate(Seen { current: at.current + cost, ..at });
        if with > self.times_per(self.counted.limit) { Err(Refusal::Empty(self.wait(at, cost))) } else { Ok(()) }
    }

    /// Takes `cost` at `now` (ns); the wait is none. **Hot.**
    pub fn take<W: Word>(&self, word: &W, now: u64, cost: u64) -> Result<u64, Refusal> {
        update(word, |seen| self.step(seen, now, cost))
    }

    /// Gives `cost` back that was taken at `at` and not used. Once the window after its own is over there is nothing to give.
    pub fn give_back<W: Word>(&self, word: &W, at: u64, cost: u64) {
        let index = self.counted.grid.place(at).index;
        let _: Result<(), Refusal> = update(word, |seen| {
            if untouched(seen, self.counted.generation)? {
                return Ok((seen, ()));
            }
            let [current, previous] = self.counted.layout.counts(seen);
            let counts = match self.counted.layout.behind(seen, index) {
                0 => [current.saturating_sub(cost), previous],
                -1 => [current, previous.saturating_sub(cost)],
                _ => [current, previous],
            };
            let index = index.wrapping_sub(self.counted.layout.behind(seen, index) as u64);
            Ok((self.counted.word(index, counts), ()))
        });
    }

    /// The estimate's share of the limit, in thousandths.
    pub fn pressure(&self, seen: u64, now: u64) -> u32 {
        let used = self.seen(seen, now).map_or(0, |at| self.estimate(at) / u128::from(self.counted.grid.width));
        per_mille(used as u64, self.counted.limit)
    }

    /// The word for these numbers that counts the estimate of `seen` under `old`, rounded up, as taken now. Words of any other generation
    /// stay as they are.
    pub fn rescale(&self, old: &SlidingCounter, seen: u64, now: u64) -> u64 {
        match (untouched(seen, old.counted.generation), old.seen(seen, now)) {
            (Ok(false), Ok(at)) => {
                let current =
                    (old.estimate(at).div_ceil(u128::from(old.counted.grid.width)) as u64).min(self.counted.limit);
                self.word(Seen { index: self.counted.grid.place(now).index, current, previous: 0, ..at })
            }
            _ => seen,
        }
    }

    /// The limit, which is the largest cost.
    pub fn limit(&self) -> u64 {
        self.counted.limit
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        owns(word, self.counted.generation)
    }

    /// Brings a word that lies ahead of the present, because time went back, into the window of the present with what it has counted. `clock`
    /// is read after the word, or a late thread would open a window again that is over.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        self.counted.rebase(word, clock, |counts| counts);
    }

    #[inline]
    fn seen(&self, seen: u64, now: u64) -> Result<Seen, Refusal> {
        let place = self.counted.grid.place(now);
        let here = Seen { index: place.index, current: 0, previous: 0, since: place.since, lead: 0 };
        if untouched(seen, self.counted.generation)? {
            return Ok(here);
        }
        let [current, previous] = self.counted.layout.counts(seen);
        Ok(match self.counted.layout.behind(seen, place.index) {
            0 => Seen { current, previous, ..here },
            1 => Seen { previous: current, ..here },
            later if later > 1 => here,
            ahead => {
                let windows = ahead.unsigned_abs();
                let lead = self.times_per(windows) - u128::from(place.since);
                Seen { index: place.index.wrapping_add(windows), current, previous, since: 0, lead }
            }
        })
    }

    /// The estimate times `per`, so that nothing is rounded.
    #[inline]
    fn estimate(&self, at: Seen) -> u128 {
        u128::from(at.previous) * u128::from(self.counted.grid.width - at.since) + self.times_per(at.current)
    }

    #[inline]
    fn times_per(&self, count: u64) -> u128 {
        u128::from(count) * u128::from(self.counted.grid.width)
    }

    /// When `cost` will be admitted if nothing else is: later in this window, as the one before weighs less and less, or in the next.
    #[cold]
    fn wait(&self, at: Seen, cost: u64) -> u64 {
        let room = self.counted.limit - cost;
        let in_window = match room.checked_sub(at.current) {
            Some(room) => self.weighs(at.previous, room),
            None => u128::from(self.counted.grid.width) + self.weighs(at.current, room),
        };
        saturating(at.lead + in_window.saturating_sub(u128::from(at.since)))
    }

    /// How far into a window a previous count weighs no more than `room`.
    fn weighs(&self, previous: u64, room: u64) -> u128 {
        let allowed = self.times_per(room).checked_div(u128::from(previous)).unwrap_or(u128::MAX);
        u128::from(self.counted.grid.width).saturating_sub(allowed)
    }

    #[inline]
    fn word(&self, at: Seen) -> u64 {
        self.counted.word(at.index, [at.current, at.previous])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::storm;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    fn counter(limit: u64) -> SlidingCounter {
        SlidingCounter::new(limit, 1000, 1).unwrap()
    }

    #[test]
    fn the_window_before_weighs_less_and_less() {
        let (rule, word) = (counter(10), AtomicU64::new(0));
        assert_eq!(rule.take(&word, 0, 10), Ok(0));
        assert_eq!(rule.take(&word, 900, 1), Err(Refusal::Empty(200)), "a tenth into the next window");
        assert_eq!(rule.take(&word, 1099, 1), Err(Refusal::Empty(1)));
        assert_eq!(rule.take(&word, 1100, 1), Ok(0));
        assert_eq!(rule.take(&word, 1500, 4), Ok(0));
        assert_eq!(rule.pressure(word.load(Relaxed), 1500), 1000);
        assert_eq!(rule.take(&word, 1500, 1), Err(Refusal::Empty(100)));
        assert_eq!(rule.take(&word, 1500, 10), Err(Refusal::Empty(1500)), "when nothing is counted any more");
        assert_eq!(rule.take(&word, 1500, 11), Err(Refusal::Never));
        assert_eq!(rule.take(&word, 1500, 0), Ok(0));
        assert_eq!(rule.take(&word, 3000, 10), Ok(0));
    }

    #[test]
    fn limits_and_times_at_their_ends() {
        for limit in [0, SlidingCounter::MAX_LIMIT + 1, 1 << 63, u64::MAX] {
            assert_eq!(SlidingCounter::new(limit, 1000, 1), None);
        }
        assert_eq!((SlidingCounter::new(1, 0, 1), SlidingCounter::new(1, 1, 0)), (None, None));
        for limit in [1, SlidingCounter::MAX_LIMIT] {
            for (per, now) in [(1, u64::MAX), (1000, 0), (1000, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
                let (rule, word) = (SlidingCounter::new(limit, per, 15).unwrap(), AtomicU64::new(0));
                assert_eq!(rule.take(&word, now, limit), Ok(0));
                assert!(matches!(rule.take(&word, now, 1), Err(Refusal::Empty(_))));
                assert_eq!(rule.take(&word, now, u64::MAX), Err(Refusal::Never));
                assert_eq!(SlidingCounter::of(rule.words()), Some(rule));
            }
        }
    }

    #[test]
    fn time_that_goes_back_costs_at_most_a_window() {
        let (rule, word) = (counter(2), AtomicU64::new(0));
        rule.take(&word, 3_600_000, 2).unwrap();
        assert_eq!(rule.take(&word, 100, 1), Err(Refusal::Empty(3_600_000 + 1500 - 100)));
        rule.rebase(&word, || 100);
        assert_eq!(rule.take(&word, 100, 1), Err(Refusal::Empty(1400)));
        assert_eq!(rule.take(&word, 1500, 1), Ok(0));
        rule.rebase(&word, || 1500);
        assert_eq!(rule.take(&word, 1500, 1), Err(Refusal::Empty(500)), "nothing to rebase");
    }

    #[test]
    fn gifts_go_to_their_own_window() {
        let (rule, word) = (counter(4), AtomicU64::new(0));
        rule.take(&word, 0, 4).unwrap();
        rule.give_back(&word, 0, 2);
        assert_eq!(rule.take(&word, 500, 2), Ok(0));
        rule.take(&word, 1500, 2).unwrap();
        rule.give_back(&word, 0, 2);
        assert_eq!(rule.take(&word, 1500, 1), Ok(0), "the window before weighs half of what is left in it");
        assert!(rule.take(&word, 1500, 1).is_err());
        rule.take(&word, 2900, 1).unwrap();
        let before = word.load(Relaxed);
        rule.give_back(&word, 0, 2);
        assert_eq!(word.load(Relaxed), before);
    }

    #[test]
    fn a_changed_rule_keeps_the_estimate() {
        let (old, word) = (counter(10), AtomicU64::new(0));
        old.take(&word, 0, 10).unwrap();
        let new = SlidingCounter::new(20, 7000, 2).unwrap();
        assert_eq!(new.take(&word, 1301, 1), Err(Refusal::Stale));
        word.store(new.rescale(&old, word.load(Relaxed), 1301), Relaxed);
        assert_eq!(old.take(&word, 1301, 1), Err(Refusal::Stale));
        assert_eq!(new.take(&word, 1301, 13), Ok(0));
        assert!(new.take(&word, 1301, 1).is_err());
        assert!(new.owns(word.load(Relaxed)) && !old.owns(word.load(Relaxed)) && old.owns(0));
    }

    #[test]
    fn a_storm_admits_the_models_count() {
        let (rule, word) = (counter(1000), AtomicU64::new(0));
        let take = |now, cost| rule.take(&word, now, cost).is_ok();
        rule.take(&word, 500, 600).unwrap();
        assert_eq!(storm::still(1300, take), 1000 - 600 * 7 / 10);
        // Late readings count at the beginning of the open window: no window counts more than the limit.
        let admitted: u64 = storm::running(100_000, 1, take).iter().map(|&(admitted, _)| admitted).sum();
        let windows = storm::OFFERS / 1000 + 1;
        assert!(admitted <= 1000 * windows && admitted >= 500 * (windows - 2), "{admitted}");
    }

    proptest! {
        /// The stated bounds, against a list of the moments at which calls were admitted; and the wait, by trying it.
        #[test]
        fn errs_no_more_than_stated(limit in 1u64..20, calls in prop::collection::vec((0u64..400, 1u64..5), 1..200)) {
            let (rule, word) = (counter(limit), AtomicU64::new(0));
            let (mut now, mut admitted): (u64, Vec<u64>) = (0, vec![]);
            for (pause, cost) in calls {
                now += pause;
                let (since, window) = (now % 1000, now / 1000);
                let in_window = |index: u64| admitted.iter().filter(|&&at| at / 1000 == index).count() as u64;
                let previous = window.checked_sub(1).map_or(0, in_window);
                let fits = previous * (1000 - since) + (in_window(window) + cost) * 1000 <= limit * 1000;
                let seen = word.load(Relaxed);
                match rule.take(&word, now, cost) {
                    Ok(wait) => {
                        prop_assert!(fits && wait == 0);
                        admitted.extend((0..cost).map(|_| now));
                        let last = admitted.iter().filter(|&&at| at + 1000 > now).count() as u64;
                        prop_assert!(last * 1000 <= limit * (1000 + since), "{} at {}", last, since);
                        for length in [10, 100, 500] {
                            let stretch = admitted.iter().filter(|&&at| at + length >= now).count() as u64;
                            prop_assert!(stretch * 1000 <= limit * (1000 + length));
                        }
                    }
                    Err(Refusal::Empty(ns)) => {
                        prop_assert!(!fits && ns > 0);
                        prop_assert!(rule.step(seen, now + ns, cost).is_ok());
                        prop_assert!(rule.step(seen, now + ns - 1, cost).is_err());
                    }
                    refusal => prop_assert!(refusal == Err(Refusal::Never) && cost > limit),
                }
            }
        }
    }
}
