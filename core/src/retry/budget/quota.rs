//! The token quota of the AWS SDKs' standard retry mode: a store of 500 tokens; a retry costs 5, one after a timeout 10; a
//! success gives back what its last retry took, or 1 where there was none.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Retry behavior", standard mode.
//!
//! The word: tokens used up (60 bits) | generation of the rule (4 bits). So a word of 0 is a full store. Time plays no part:
//! a callee that nobody calls stays as it was.

use super::{Exhausted, GENERATION_BITS, GENERATION_MASK, Price, Reserve, left_by};
use crate::guard::Criticality;
use crate::word::{Word, update};

/// A rule's numbers, ready for use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    capacity: u32,
    cost: u32,
    timeout_cost: u32,
    earned: u32,
    reserve: [u64; 3],
    generation: u64,
}

impl Quota {
    /// What the AWS SDKs use: capacity, a retry's cost, one's after a timeout, what a success earns.
    pub const AWS: [u32; 4] = [500, 5, 10, 1];

    /// A store of `capacity` tokens. None when a retry costs nothing or more than there is, when the reserve exceeds the
    /// whole, or the generation is not 1 to 15.
    pub fn new([capacity, cost, timeout_cost, earned]: [u32; 4], reserve: Reserve, generation: u64) -> Option<Quota> {
        let costs = [cost, timeout_cost].iter().all(|&cost| cost > 0 && cost <= capacity);
        let reserve = reserve.of(u64::from(capacity))?;
        let fits = costs && (1..16).contains(&generation);
        fits.then_some(Quota { capacity, cost, timeout_cost, earned, reserve, generation })
    }

    /// Takes the price of a retry, and tells what it was. **Hot.**
    pub fn spend<W: Word>(&self, word: &W, class: Criticality, price: Price) -> Result<u32, Exhausted> {
        let cost = match price {
            Price::Normal => self.cost,
            Price::Timeout => self.timeout_cost,
        };
        update(word, |seen| {
            let used = self.used(seen)? + u64::from(cost);
            let fits = used + left_by(&self.reserve, class) <= u64::from(self.capacity);
            if fits { Ok((self.word(used), cost)) } else { Err(Exhausted::Empty) }
        })
    }

    /// A success: gives back `taken`, or what a success without retry earns. **Hot.**
    pub fn succeed<W: Word>(&self, word: &W, taken: u32) -> Result<(), Exhausted> {
        self.give_back(word, if taken > 0 { taken } else { self.earned })
    }

    /// Puts tokens back, never over the capacity.
    pub fn give_back<W: Word>(&self, word: &W, tokens: u32) -> Result<(), Exhausted> {
        update(word, |seen| {
            let used = self.used(seen)?;
            // The common case of a full store writes nothing.
            let next = if used == 0 { seen } else { self.word(used.saturating_sub(u64::from(tokens))) };
            Ok((next, ()))
        })
    }

    /// How many retries a critical call could make now.
    pub fn retries_left(&self, seen: u64) -> u64 {
        let used = self.used(seen).unwrap_or(u64::from(self.capacity));
        (u64::from(self.capacity) - used) / u64::from(self.cost)
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        matches!(word & GENERATION_MASK, generation if generation == self.generation || generation == 0)
    }

    /// The word for these numbers of a store that has as many tokens used up as `seen` has under `old`. Words of any other
    /// generation stay as they are.
    pub fn rescale(&self, old: &Quota, seen: u64) -> u64 {
        match old.used(seen) {
            Ok(used) if seen != 0 => self.word(used.min(u64::from(self.capacity))),
            _ => seen,
        }
    }

    /// As plain words, for a block in the segment.
    pub(super) fn words(&self) -> [u64; 7] {
        let [default, _, sheddable] = self.reserve;
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        [
            self.generation,
            pair(self.capacity, self.cost),
            pair(self.timeout_cost, self.earned),
            default,
            sheddable,
            0,
            0,
        ]
    }

    /// From [`Quota::words`]; garbage gives some quota.
    pub(super) fn of([generation, store, ends, default, sheddable, ..]: [u64; 7]) -> Quota {
        let kept = |part: u64| part & u64::from(u32::MAX);
        Quota {
            capacity: store as u32,
            cost: ((store >> 32) as u32).max(1),
            timeout_cost: ends as u32,
            earned: (ends >> 32) as u32,
            reserve: [kept(default), 0, kept(sheddable)],
            generation: generation & GENERATION_MASK,
        }
    }

    fn used(&self, seen: u64) -> Result<u64, Exhausted> {
        match seen & GENERATION_MASK {
            0 => Ok(0),
            generation if generation == self.generation => Ok((seen >> GENERATION_BITS).min(u64::from(self.capacity))),
            _ => Err(Exhausted::Stale),
        }
    }

    fn word(&self, used: u64) -> u64 {
        used << GENERATION_BITS | self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const CLASSES: [Criticality; 3] = [Criticality::Critical, Criticality::Default, Criticality::Sheddable];

    fn aws(reserve: Reserve) -> Quota {
        Quota::new(Quota::AWS, reserve, 1).unwrap()
    }

    #[test]
    fn a_full_store_pays_for_a_hundred_retries_or_fifty_after_timeouts() {
        let quota = aws(Reserve::default());
        for (price, want) in [(Price::Normal, 100), (Price::Timeout, 50)] {
            let word = AtomicU64::new(0);
            let paid = (0..200).take_while(|_| quota.spend(&word, Criticality::Default, price).is_ok()).count();
            assert_eq!(paid, want);
            assert_eq!(quota.retries_left(word.load(Relaxed)), 0);
        }
    }

    #[test]
    fn a_success_gives_back_what_was_taken_or_one() {
        let (quota, word) = (aws(Reserve::default()), AtomicU64::new(0));
        let taken = quota.spend(&word, Criticality::Default, Price::Timeout).unwrap();
        quota.spend(&word, Criticality::Default, Price::Normal).unwrap();
        quota.succeed(&word, taken).unwrap();
        assert_eq!(quota.used(word.load(Relaxed)), Ok(5));
        quota.succeed(&word, 0).unwrap();
        assert_eq!(quota.used(word.load(Relaxed)), Ok(4));
        quota.succeed(&word, 500).unwrap();
        assert_eq!(quota.used(word.load(Relaxed)), Ok(0), "never more than full");
    }

    #[test]
    fn critical_calls_spend_last() {
        let (quota, word) = (aws(Reserve { for_critical: 200, for_default: 300 }), AtomicU64::new(0));
        let spent = |class| (0..200).take_while(|_| quota.spend(&word, class, Price::Normal).is_ok()).count();
        assert_eq!(spent(Criticality::Sheddable), 50);
        assert_eq!(spent(Criticality::Default), 30);
        assert_eq!(spent(Criticality::Critical), 20);
    }

    #[test]
    fn contradictions_are_refused() {
        let none = Reserve::default();
        for numbers in [[500, 0, 10, 1], [500, 5, 0, 1], [4, 5, 4, 1], [9, 5, 10, 1], [0, 0, 0, 0]] {
            assert_eq!(Quota::new(numbers, none, 1), None, "{numbers:?}");
        }
        assert_eq!(Quota::new(Quota::AWS, Reserve { for_critical: 600, for_default: 401 }, 1), None);
        let most = Reserve { for_critical: u32::MAX, for_default: u32::MAX };
        assert_eq!(Quota::new(Quota::AWS, most, 1), None);
        assert_eq!(Quota::new(Quota::AWS, none, 16), None);
        assert_eq!(Quota::new(Quota::AWS, none, 0), None);
    }

    #[test]
    fn a_change_keeps_what_was_used_and_fails_the_late() {
        let (old, word) = (aws(Reserve::default()), AtomicU64::new(0));
        old.spend(&word, Criticality::Default, Price::Normal).unwrap();
        let new = Quota::new([100, 1, 1, 1], Reserve::default(), 2).unwrap();
        let seen = word.load(Relaxed);
        word.store(new.rescale(&old, seen), Relaxed);
        assert_eq!(new.retries_left(word.load(Relaxed)), 95);
        assert_eq!(old.spend(&word, Criticality::Default, Price::Normal), Err(Exhausted::Stale));
        assert_eq!(old.succeed(&word, 0), Err(Exhausted::Stale));
        assert!(new.owns(word.load(Relaxed)) && !old.owns(word.load(Relaxed)) && old.owns(0));
    }

    #[test]
    fn a_storm_spends_what_there_is() {
        let (quota, word) = (aws(Reserve::default()), AtomicU64::new(0));
        let paid: usize = std::thread::scope(|scope| {
            let spend = || (0..100).filter(|_| quota.spend(&word, Criticality::Default, Price::Normal).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(spend)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(paid, 100);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_store(
            numbers in (1u32..1000, 1u32..20, 1u32..20, 0u32..5), steps in prop::collection::vec((0u8..3, 0usize..3), 1..300),
        ) {
            let (capacity, cost, timeout, earned) = numbers;
            let reserve = Reserve { for_critical: 100, for_default: 150 };
            let Some(quota) = Quota::new([capacity, cost, timeout, earned], reserve, 9) else { return Ok(()) };
            let (word, mut left, mut last) = (AtomicU64::new(0), i64::from(capacity), 0);
            for (step, class) in steps {
                let price = [(Price::Normal, cost), (Price::Timeout, timeout)];
                if let Some(&(price, cost)) = price.get(usize::from(step)) {
                    let kept = (f64::from(capacity) * [0.0, 0.1, 0.25][class]).ceil() as i64;
                    let pays = left - i64::from(cost) >= kept;
                    prop_assert_eq!(quota.spend(&word, CLASSES[class], price).is_ok(), pays);
                    if pays { left -= i64::from(cost); last = cost; }
                } else {
                    quota.succeed(&word, last).unwrap();
                    left = i64::from(capacity).min(left + i64::from(if last > 0 { last } else { earned }));
                    last = 0;
                }
                prop_assert_eq!(quota.retries_left(word.load(Relaxed)), (left / i64::from(cost)) as u64);
            }
        }
    }
}
