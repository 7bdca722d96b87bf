//! What retries may cost, shared by all callers of one callee in one atomic word.
//!
//! [`ratio`]: retries are a share of first attempts, with a floor per second. [`quota`]: a store of tokens that failures empty and
//! successes fill, as in the AWS SDKs. Both keep a reserve that only more critical calls may take, so that those
//! spend last.

pub mod quota;
pub mod ratio;

use crate::guard::Criticality;
use crate::word::Word;
use quota::Quota;
use ratio::Ratio;

/// Generations of numbers stand in the lowest bits of a budget's word.
pub(crate) const GENERATION_BITS: u32 = 4;
pub(crate) const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// Why a budget said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// Not enough is left for a call of this criticality.
    Empty,
    /// The word is of other numbers: load the rule again.
    Stale,
}

/// What a retry is for, by which its price goes in a [`Quota`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// After a failure, or an overload.
    Normal,
    /// After a timeout, which cost the callee more.
    Timeout,
}

/// The share of a budget, in thousandths, that only calls of a higher class may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// What default and sheddable calls leave: kept for critical ones.
    pub for_critical: u32,
    /// What sheddable calls leave beyond that: kept for default ones.
    pub for_default: u32,
}

impl Reserve {
    /// What calls of each class must leave of `whole`; by [`Criticality`] as a number. None when the shares exceed the whole.
    fn of(self, whole: u64) -> Option<[u64; 3]> {
        let part = |share: u32| ((u128::from(whole) * u128::from(share)).div_ceil(1000)) as u64;
        let below = self.for_critical.checked_add(self.for_default).filter(|&sum| sum <= 1000)?;
        Some([part(self.for_critical), 0, part(below)])
    }
}

/// The first word of a budget by its kind; of any other there is none.
const RATIO: u64 = 1;
const QUOTA: u64 = 2;

/// The part of a reserve that stands for a class.
#[inline]
fn left_by(reserve: &[u64; 3], class: Criticality) -> u64 {
    match class {
        Criticality::Default => reserve[0],
        Criticality::Critical => reserve[1],
        Criticality::Sheddable => reserve[2],
    }
}

/// A budget's numbers. Its state is one word, 0 at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// None: every retry is paid for.
    Unlimited,
    /// A share of first attempts.
    Ratio(Ratio),
    /// A store of tokens.
    Quota(Quota),
}

impl Budget {
    /// A logical call begins: its first attempt earns its share. **Hot.**
    #[inline(always)]
    pub fn begin<W: Word>(&self, word: &W, now: u64) -> Result<(), Exhausted> {
        match self {
            Budget::Ratio(ratio) => ratio.deposit(word, now),
            Budget::Unlimited | Budget::Quota(_) => Ok(()),
        }
    }

    /// The same of the budget of these [`Budget::words`].
    #[inline(always)]
    pub fn begin_by<W: Word>([kind, a, b, c, d, e, f, g]: [u64; 8], word: &W, now: u64) -> Result<(), Exhausted> {
        if kind == RATIO { Ratio::of([a, b, c, d, e, f, g]).deposit(word, now) } else { Ok(()) }
    }

    /// Takes what a retry (or a hedge) costs, and tells how much that was. **Hot.**
    #[inline(always)]
    pub fn spend<W: Word>(&self, word: &W, class: Criticality, price: Price, now: u64) -> Result<u32, Exhausted> {
        match self {
            Budget::Unlimited => Ok(0),
            Budget::Ratio(ratio) => ratio.spend(word, class, now),
            Budget::Quota(quota) => quota.spend(word, class, price),
        }
    }

    /// Whether success says anything to a budget whose first word this is: what [`Budget::succeed`] would change.
    #[inline(always)]
    pub fn hears_of_success(kind: u64) -> bool {
        kind == QUOTA
    }

    /// The call succeeded; `taken` is what its last retry took, 0 if there was none. **Hot.**
    #[inline(always)]
    pub fn succeed<W: Word>(&self, word: &W, taken: u32) -> Result<(), Exhausted> {
        match self {
            Budget::Quota(quota) => quota.succeed(word, taken),
            Budget::Unlimited | Budget::Ratio(_) => Ok(()),
        }
    }

    /// Gives back what a retry took that was not made after all.
    pub fn give_back<W: Word>(&self, word: &W, taken: u32, now: u64) -> Result<(), Exhausted> {
        match self {
            Budget::Unlimited => Ok(()),
            Budget::Ratio(ratio) => ratio.give_back(word, taken, now),
            Budget::Quota(quota) => quota.give_back(word, taken),
        }
    }

    /// As plain words, for a block in the segment.
    pub fn words(&self) -> [u64; 8] {
        let (kind, [a, b, c, d, e, f, g]) = match self {
            Budget::Unlimited => (0, [0; 7]),
            Budget::Ratio(ratio) => (RATIO, ratio.words()),
            Budget::Quota(quota) => (QUOTA, quota.words()),
        };
        [kind, a, b, c, d, e, f, g]
    }

    /// From [`Budget::words`]; garbage gives some budget.
    #[inline(always)]
    pub fn of([kind, a, b, c, d, e, f, g]: [u64; 8]) -> Budget {
        match kind {
            RATIO => Budget::Ratio(Ratio::of([a, b, c, d, e, f, g])),
            QUOTA => Budget::Quota(Quota::of([a, b, c, d, e, f, g])),
            _ => Budget::Unlimited,
        }
    }

    /// The word for these numbers that holds what `seen` holds under `old`; one of another kind begins anew. Words of any
    /// other generation stay as they are.
    pub fn rescale(&self, old: &Budget, seen: u64, now: u64) -> u64 {
        match (self, old) {
            (Budget::Ratio(new), Budget::Ratio(old)) => new.rescale(old, seen, now),
            (Budget::Quota(new), Budget::Quota(old)) => new.rescale(old, seen),
            _ if old.owns(seen) => 0,
            _ => seen,
        }
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        match self {
            Budget::Unlimited => true,
            Budget::Ratio(ratio) => ratio.owns(word),
            Budget::Quota(quota) => quota.owns(word),
        }
    }

    /// How many retries a critical call could make now, in the word as it was read.
    pub fn retries_left(&self, seen: u64, now: u64) -> u64 {
        match self {
            Budget::Unlimited => u64::MAX,
            Budget::Ratio(ratio) => ratio.retries_left(seen, now),
            Budget::Quota(quota) => quota.retries_left(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const SECOND: u64 = 1_000_000_000;
    const RESERVE: Reserve = Reserve { for_critical: 100, for_default: 50 };

    fn ratio(generation: u64) -> Budget {
        Budget::Ratio(Ratio::new(0.2, 10.0, 10 * SECOND, RESERVE, generation).unwrap())
    }

    fn quota(generation: u64) -> Budget {
        Budget::Quota(Quota::new(Quota::AWS, RESERVE, generation).unwrap())
    }

    #[test]
    fn words_keep_every_number() {
        for budget in [Budget::Unlimited, ratio(3), quota(4)] {
            assert_eq!(Budget::of(budget.words()), budget);
        }
    }

    #[test]
    fn a_budget_of_another_kind_begins_anew() {
        let word = AtomicU64::new(0);
        ratio(1).spend(&word, Criticality::Default, Price::Normal, 5).unwrap();
        let seen = word.load(Relaxed);
        assert_eq!(quota(2).rescale(&ratio(1), seen, 5), 0);
        assert_eq!(quota(3).rescale(&ratio(2), seen, 5), seen, "of neither");
        let kept = ratio(2).rescale(&ratio(1), seen, 5);
        assert_eq!((ratio(2).retries_left(kept, 5), ratio(2).owns(kept), ratio(1).owns(kept)), (99, true, false));
    }

    #[test]
    fn without_limit_all_is_paid_for() {
        let (free, word) = (Budget::Unlimited, AtomicU64::new(7));
        assert_eq!(free.spend(&word, Criticality::Sheddable, Price::Timeout, 0), Ok(0));
        assert_eq!(
            (free.begin(&word, 0), free.succeed(&word, 9), free.give_back(&word, 9, 0)),
            (Ok(()), Ok(()), Ok(()))
        );
        assert_eq!((word.into_inner(), free.retries_left(7, 0)), (7, u64::MAX));
    }

    proptest! {
        #[test]
        fn garbage_gives_budgets_too(kind in 0u64..3, words: [u64; 7], seen: u64, now: u64, later: u64, taken: u32) {
            let [a, b, c, d, e, f, g] = words;
            let (budget, word) = (Budget::of([kind, a, b, c, d, e, f, g]), AtomicU64::new(seen));
            for now in [now, later] {
                let _ = budget.begin(&word, now);
                let _ = budget.spend(&word, Criticality::Sheddable, Price::Timeout, now);
                let _ = (budget.succeed(&word, taken), budget.give_back(&word, taken, now));
                word.store(budget.rescale(&budget, word.load(Relaxed), now), Relaxed);
            }
            prop_assert!(budget.retries_left(word.load(Relaxed), later) > 0 || kind > 0);
        }
    }
}
