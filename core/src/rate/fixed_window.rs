//! The fixed window: at most `limit` in each window of `per`, counted from nothing in every one. Windows are aligned to
//! multiples of `per` since the clock's zero, so that all processes count in the same ones.
//!
//! **Boundary burst.** A window's whole limit may be used at its end and the next one's at its beginning: any stretch of
//! time no longer than `per` admits at most twice the limit, and that much can come at one moment. Where that matters,
//! take a sliding window or a token bucket.
//!
//! The word: the window's index | count | generation (4 bits). The count has as many bits as the limit needs, at most 40, the
//! index what is left, at least 20, in a circle. A reading that is older than the word's window counts in the word's window: a
//! thread that comes late never opens a window again. An idleness of half the circle (2¹⁹ windows at the largest
//! limits, 2⁴⁹ at 1000) looks the same as time that went back; [`FixedWindow::rebase`] mends both, and either costs at most one window.

use super::common::{Refusal, owns, per_mille, saturating, untouched};
use super::counted::Counted;
use super::grid::Grid;
use crate::word::{Word, update};

/// A rule's numbers, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindow {
    counted: Counted,
}

/// A word seen from a moment.
struct Seen {
    index: u64,
    count: u64,
    /// Until the window ends, in ns.
    left: u64,
}

impl FixedWindow {
    /// The largest limit: 2⁴⁰ - 1.
    pub const MAX_LIMIT: u64 = (1 << 40) - 1;

    /// At most `limit` in each window of `per_ns`. None for a limit of 0 or above [`FixedWindow::MAX_LIMIT`], no `per_ns`, or a
    /// generation that is none of 1 to 15.
    pub fn new(limit: u64, per_ns: u64, generation: u64) -> Option<FixedWindow> {
        let counted = Counted::new(limit, Grid::new(per_ns)?, 1, 20, generation)?;
        Some(FixedWindow { counted })
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

    /// Reads [`FixedWindow::words`].
    #[inline]
    pub fn of([a, b, c, d, ..]: [u64; 8]) -> Option<FixedWindow> {
        Some(FixedWindow { counted: Counted::of([a, b, c, d], 1, 20)? })
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
        let count = at.count + cost;
        if count > self.counted.limit {
            return Err(Refusal::Empty(at.left));
        }
        Ok((self.word(at.index, count), 0))
    }

    /// Takes `cost` at `now` (ns); the wait is none. **Hot.**
    pub fn take<W: Word>(&self, word: &W, now: u64, cost: u64) -> Result<u64, Refusal> {
        update(word, |seen| self.step(seen, now, cost))
    }

    /// Gives `cost` back that was taken at `at` and not used. Once its window is over there is nothing to give.
    pub fn give_back<W: Word>(&self, word: &W, at: u64, cost: u64) {
        let index = self.counted.grid.place(at).index;
        let _: Result<(), Refusal> = update(word, |seen| {
            if untouched(seen, self.counted.generation)? || self.counted.layout.behind(seen, index) != 0 {
                return Ok((seen, ()));
            }
            Ok((self.word(index, self.counted.layout.counts(seen)[0].saturating_sub(cost)), ()))
        });
    }

    /// The used share of the window, in thousandths.
    pub fn pressure(&self, seen: u64, now: u64) -> u32 {
        self.seen(seen, now).map_or(0, |at| per_mille(at.count, self.counted.limit))
    }

    /// The word for these numbers in whose window as much is counted as in that of `seen` under `old`. Words of any other
    /// generation stay as they are.
    pub fn rescale(&self, old: &FixedWindow, seen: u64, now: u64) -> u64 {
        match (untouched(seen, old.counted.generation), old.seen(seen, now)) {
            (Ok(false), Ok(at)) => self.word(self.counted.grid.place(now).index, at.count.min(self.counted.limit)),
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
        let left = self.counted.grid.width - place.since;
        if untouched(seen, self.counted.generation)? {
            return Ok(Seen { index: place.index, count: 0, left });
        }
        let count = self.counted.layout.counts(seen)[0];
        Ok(match self.counted.layout.behind(seen, place.index) {
            0 => Seen { index: place.index, count, left },
            later if later > 0 => Seen { index: place.index, count: 0, left },
            ahead => {
                let windows = ahead.unsigned_abs();
                let left = saturating(u128::from(windows) * u128::from(self.counted.grid.width) + u128::from(left));
                Seen { index: place.index.wrapping_add(windows), count, left }
            }
        })
    }

    #[inline]
    fn word(&self, index: u64, count: u64) -> u64 {
        self.counted.word(index, [count, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::storm;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    fn window(limit: u64) -> FixedWindow {
        FixedWindow::new(limit, 1000, 1).unwrap()
    }

    #[test]
    fn counts_from_nothing_in_each_window() {
        let (rule, word) = (window(2), AtomicU64::new(0));
        assert_eq!(rule.take(&word, 998, 1), Ok(0));
        assert_eq!(rule.take(&word, 999, 1), Ok(0));
        assert_eq!(rule.take(&word, 999, 1), Err(Refusal::Empty(1)));
        assert_eq!(rule.take(&word, 1000, 2), Ok(0), "the boundary burst");
        assert_eq!(rule.take(&word, 1300, 1), Err(Refusal::Empty(700)));
        assert_eq!(rule.take(&word, 1300, 3), Err(Refusal::Never));
        assert_eq!(rule.take(&word, 1300, 0), Ok(0));
        assert_eq!(rule.pressure(word.load(Relaxed), 1300), 1000);
        assert_eq!(rule.pressure(word.load(Relaxed), 2000), 0);
    }

    #[test]
    fn limits_and_times_at_their_ends() {
        for limit in [0, FixedWindow::MAX_LIMIT + 1, 1 << 63, u64::MAX] {
            assert_eq!(FixedWindow::new(limit, 1000, 1), None);
        }
        assert_eq!(FixedWindow::new(1, 0, 1), None);
        assert_eq!(FixedWindow::new(1, 1, 0), None);
        assert_eq!(FixedWindow::new(1, 1, 16), None);
        for limit in [1, FixedWindow::MAX_LIMIT] {
            for (per, now) in [(1, u64::MAX), (1000, 0), (1000, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
                let (rule, word) = (FixedWindow::new(limit, per, 15).unwrap(), AtomicU64::new(0));
                assert_eq!(rule.take(&word, now, limit), Ok(0));
                assert!(matches!(rule.take(&word, now, 1), Err(Refusal::Empty(ns)) if ns <= per));
                assert_eq!(rule.take(&word, now, limit + 1), Err(Refusal::Never));
                assert_eq!(FixedWindow::of(rule.words()), Some(rule));
            }
        }
    }

    #[test]
    fn time_that_goes_back_costs_at_most_a_window() {
        let (rule, word) = (window(2), AtomicU64::new(0));
        rule.take(&word, 3_600_000, 2).unwrap();
        assert_eq!(rule.take(&word, 100, 1), Err(Refusal::Empty(3_600_900)), "late threads open no window again");
        rule.rebase(&word, || 100);
        assert_eq!(rule.take(&word, 100, 1), Err(Refusal::Empty(900)));
        assert_eq!(rule.take(&word, 1000, 2), Ok(0));
        rule.rebase(&word, || 1000);
        assert_eq!(rule.take(&word, 1000, 1), Err(Refusal::Empty(1000)), "nothing to rebase");
    }

    #[test]
    fn gifts_go_to_their_own_window() {
        let (rule, word) = (window(2), AtomicU64::new(0));
        rule.take(&word, 0, 2).unwrap();
        rule.give_back(&word, 0, 1);
        assert_eq!(rule.take(&word, 10, 1), Ok(0));
        rule.take(&word, 1000, 2).unwrap();
        rule.give_back(&word, 10, 1);
        assert!(rule.take(&word, 1000, 1).is_err(), "what was taken before counts no more here");
        rule.give_back(&word, 1000, 9);
        assert_eq!(rule.take(&word, 1000, 2), Ok(0), "never more than the limit");
        assert!(rule.take(&word, 1000, 1).is_err());
    }

    #[test]
    fn a_changed_rule_keeps_the_count() {
        let (old, word) = (window(10), AtomicU64::new(0));
        old.take(&word, 5, 4).unwrap();
        let new = FixedWindow::new(6, 7000, 2).unwrap();
        assert_eq!(new.take(&word, 5, 1), Err(Refusal::Stale));
        word.store(new.rescale(&old, word.load(Relaxed), 5), Relaxed);
        assert_eq!(old.take(&word, 5, 1), Err(Refusal::Stale));
        assert_eq!(new.take(&word, 5, 2), Ok(0));
        assert_eq!(new.take(&word, 5, 1), Err(Refusal::Empty(6995)));
        assert_eq!(new.rescale(&old, word.load(Relaxed), 5), word.load(Relaxed));
        assert!(new.owns(word.load(Relaxed)) && !old.owns(word.load(Relaxed)) && old.owns(0));
    }

    #[test]
    fn a_storm_admits_the_models_count() {
        let (rule, word) = (window(100), AtomicU64::new(0));
        let take = |now, cost| rule.take(&word, now, cost).is_ok();
        assert_eq!(storm::still(500, take), 100);
        // Every window sees more offers than its limit. A late offer counts in the window that is open by then.
        assert!(storm::running(1000, 10, take).iter().all(|&(_, most)| most <= 200));
        let total: u64 = storm::running(1_000_000, 10, take).iter().map(|&(admitted, _)| admitted).sum();
        assert!(total <= 100 * (storm::OFFERS * 10 / 1000 + 1), "{total}");
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_count(limit in 1u64..20, calls in prop::collection::vec((0u64..700, 0u64..25), 1..200)) {
            let (rule, word) = (window(limit), AtomicU64::new(0));
            let (mut now, mut open, mut count) = (0, 0, 0);
            for (pause, cost) in calls {
                now += pause;
                if now / 1000 != open {
                    (open, count) = (now / 1000, 0);
                }
                let expected = match count + cost {
                    _ if cost > limit => Err(Refusal::Never),
                    sum if cost > 0 && sum > limit => Err(Refusal::Empty(1000 - now % 1000)),
                    sum => { count = sum; Ok(0) }
                };
                prop_assert_eq!(rule.take(&word, now, cost), expected);
                prop_assert_eq!(rule.pressure(word.load(Relaxed), now), (count * 1000 / limit) as u32);
            }
        }
    }
}
