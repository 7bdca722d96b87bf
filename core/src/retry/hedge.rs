//! Hedging: a second attempt is sent before the first has ended, when that takes longer than most do; the first answer counts and
//! the other attempts are cancelled.
//!
//! Source: J. Dean, L. A. Barroso, "The Tail at Scale" (Communications of the ACM, 2013): deferring the second request until
//! the first has been out for the 95th percentile of latency limits the additional load to about 5 %. The budget holds
//! it there when latency rises for all.

use super::budget::{Budget, Exhausted, Price};
use crate::guard::Criticality;
use crate::word::Word;

/// How long an attempt is out before the next one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// So many nanoseconds.
    Fixed(u64),
    /// A live quantile of the latency, see [`super::quantile`], within bounds.
    Live {
        /// The least, in ns.
        min_ns: u64,
        /// The most, in ns, and what counts while no quantile is known.
        max_ns: u64,
    },
}

/// A rule's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    delay: Delay,
    max_hedges: u32,
}

impl Hedge {
    /// At most `max_hedges` attempts besides the first, each `delay` after the one before. None when there are none, or the least
    /// delay exceeds the most.
    pub fn new(delay: Delay, max_hedges: u32) -> Option<Hedge> {
        let sound = match delay {
            Delay::Fixed(_) => true,
            Delay::Live { min_ns, max_ns } => min_ns <= max_ns,
        };
        (sound && max_hedges > 0).then_some(Hedge { delay, max_hedges })
    }

    /// As plain words, for a block in the segment.
    pub fn words(&self) -> [u64; 8] {
        let (live, least, most) = match self.delay {
            Delay::Fixed(ns) => (0, ns, ns),
            Delay::Live { min_ns, max_ns } => (1, min_ns, max_ns),
        };
        [u64::from(self.max_hedges) | live << 32, least, most, 0, 0, 0, 0, 0]
    }

    /// From [`Hedge::words`]; garbage gives some hedge.
    #[inline(always)]
    pub fn of([kinds, min_ns, max_ns, ..]: [u64; 8]) -> Hedge {
        let live = kinds >> 32 & 1 == 1;
        let delay = if live { Delay::Live { min_ns, max_ns: max_ns.max(min_ns) } } else { Delay::Fixed(min_ns) };
        Hedge { delay, max_hedges: kinds as u32 }
    }

    /// How many nanoseconds from now the next hedge is due, 0 when it is; None: there is none. **Hot.**
    ///
    /// `hedges` have been sent, the last attempt at `last_sent`; `live_ns` is the quantile; a hedge that is not due before
    /// `deadline_ns` (0: none) is not sent. A `last_sent` in the future (time went back) counts as now.
    #[inline(always)]
    pub fn next(&self, hedges: u32, last_sent: u64, live_ns: Option<u64>, now: u64, deadline_ns: u64) -> Option<u64> {
        let delay = match self.delay {
            Delay::Fixed(ns) => ns,
            Delay::Live { min_ns, max_ns } => live_ns.unwrap_or(max_ns).clamp(min_ns, max_ns),
        };
        let left = delay.saturating_sub(now.saturating_sub(last_sent));
        let fits = deadline_ns == 0 || now.saturating_add(left) < deadline_ns;
        (hedges < self.max_hedges && fits).then_some(left)
    }

    /// Whether there may be another, by their number.
    #[inline]
    pub fn allows(&self, hedges: u32) -> bool {
        hedges < self.max_hedges
    }

    /// Takes what a hedge costs, when it is due. Asked then and not before, since most calls end before one is. **Hot.**
    pub fn pay<W: Word>(&self, (budget, word): (&Budget, &W), class: Criticality, now: u64) -> Result<u32, Exhausted> {
        budget.spend(word, class, Price::Normal, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Reserve;
    use super::super::budget::quota::Quota;
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn is_due_after_its_delay() {
        let hedge = Hedge::new(Delay::Fixed(100), 2).unwrap();
        assert_eq!(hedge.next(0, 1000, None, 1000, 0), Some(100));
        assert_eq!(hedge.next(0, 1000, None, 1060, 0), Some(40));
        assert_eq!(hedge.next(1, 1000, None, 5000, 0), Some(0));
        assert_eq!(hedge.next(2, 1000, None, 5000, 0), None, "all sent");
    }

    #[test]
    fn follows_the_live_quantile_within_bounds() {
        let hedge = Hedge::new(Delay::Live { min_ns: 10, max_ns: 500 }, 1).unwrap();
        for (live, want) in [(Some(70), 70), (Some(3), 10), (Some(9999), 500), (None, 500)] {
            assert_eq!(hedge.next(0, 0, live, 0, 0), Some(want));
        }
    }

    #[test]
    fn none_is_sent_that_the_deadline_overtakes() {
        let hedge = Hedge::new(Delay::Fixed(100), 2).unwrap();
        assert_eq!(hedge.next(0, 1000, None, 1000, 1100), None);
        assert_eq!(hedge.next(0, 1000, None, 1000, 1101), Some(100));
        assert_eq!(hedge.next(0, 1000, None, 2000, 1), None, "long past");
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(Hedge::new(Delay::Fixed(1), 0), None);
        assert_eq!(Hedge::new(Delay::Live { min_ns: 2, max_ns: 1 }, 1), None);
    }

    #[test]
    fn is_sent_within_the_budget() {
        let hedge = Hedge::new(Delay::Fixed(1), 1).unwrap();
        let quota = Budget::Quota(Quota::new([10, 5, 5, 1], Reserve::default(), 1).unwrap());
        let word = AtomicU64::new(0);
        let paid = (0..9).filter(|_| hedge.pay((&quota, &word), Criticality::Default, 0).is_ok()).count();
        assert_eq!(paid, 2);
    }

    proptest! {
        #[test]
        fn garbage_gives_hedges_too(words: [u64; 8], live: u64, now: u64) {
            let hedge = Hedge::of(words);
            prop_assert_eq!(Hedge::of(hedge.words()), hedge);
            prop_assert!(hedge.next(u32::MAX, now, Some(live), now, 0).is_none());
            prop_assert!(hedge.max_hedges == 0 || hedge.next(0, now, Some(live), now, 0).is_some());
        }

        #[test]
        fn any_times_are_defined(delay: u64, last: u64, now: u64, deadline: u64) {
            let hedge = Hedge::new(Delay::Fixed(delay), 1).unwrap();
            if let Some(left) = hedge.next(0, last, None, now, deadline) {
                prop_assert!(left <= delay);
                prop_assert!(deadline == 0 || now.saturating_add(left) < deadline);
                prop_assert!(left == 0 || now.max(last).saturating_add(left) >= last.saturating_add(delay));
            }
        }
    }
}
