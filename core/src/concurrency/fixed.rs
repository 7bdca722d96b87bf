//! Calls in flight, counted exactly in one word, with `max_hold`: a permit that never comes back is
//! taken back by time.
//!
//! The word: epoch (15 bits) | in flight from the epoch before (24 bits) | from this epoch (24 bits). An epoch lasts
//! `max_hold`; when one ends, what is left of the epoch before it is at least `max_hold` old and is dropped. So a
//! permit is taken back not before `max_hold` and at most twice that after it was given; a late exit names
//! its epoch, finds it gone and changes nothing.
//!
//! A thread slot's own share of a guard has the same form (see [`Held`]), in arithmetic modulo 2²⁴, as a permit may be given
//! back on another thread than it was taken on: the sum over the slots is the truth, the shared word is kept for speed.

use crate::word::{Word, update, update_if};

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const EPOCH_MASK: u64 = (1 << 15) - 1;
/// In a slot's word: between changing the shared word and saying so here.
pub const PENDING: u64 = 1 << 63;
/// The largest limit.
pub const MAX_LIMIT: u32 = 16_000_000;

/// Which epoch it is, by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// 2⁶⁴ / max_hold in ns, rounded up; 0 when there is none.
    pub reciprocal: u64,
    /// When the epochs of this rule began, in ns.
    pub anchor: u64,
    /// The epoch at the anchor.
    pub first: u64,
}

impl Hold {
    /// The epochs of a rule that begins now, going on from epoch `first`.
    pub fn new(max_hold_ns: Option<u64>, now: u64, first: u64) -> Hold {
        let reciprocal = max_hold_ns.map_or(0, |ns| (u128::from(u64::MAX) / u128::from(ns.max(2)) + 1) as u64);
        Hold { reciprocal, anchor: now, first: first & EPOCH_MASK }
    }

    /// Whether there is a `max_hold`, so that time changes the epoch.
    pub fn passes(&self) -> bool {
        self.reciprocal != 0
    }

    /// The epoch at `now`.
    pub fn epoch(&self, now: u64) -> u64 {
        let since = now.saturating_sub(self.anchor);
        let passed = (u128::from(since) * u128::from(self.reciprocal)) >> 64;
        (self.first + passed as u64) & EPOCH_MASK
    }
}

/// A word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Held {
    /// 15 bits.
    pub epoch: u64,
    /// In flight since the epoch before.
    pub old: u64,
    /// In flight since this epoch.
    pub new: u64,
}

impl Held {
    /// Reads a word (without its pending mark).
    #[inline(always)]
    pub fn of(word: u64) -> Held {
        Held {
            epoch: word >> (2 * COUNT_BITS) & EPOCH_MASK,
            old: word >> COUNT_BITS & COUNT_MASK,
            new: word & COUNT_MASK,
        }
    }

    /// Writes it.
    #[inline(always)]
    pub fn word(self) -> u64 {
        (self.epoch & EPOCH_MASK) << (2 * COUNT_BITS) | (self.old & COUNT_MASK) << COUNT_BITS | self.new & COUNT_MASK
    }

    /// Whether one more in flight since `epoch` is one more in a slot's word.
    #[inline(always)]
    pub fn has_room(word: u64, epoch: u64) -> bool {
        new_alone(word, epoch) < COUNT_MASK
    }

    /// A slot's word with one more in flight since `epoch`.
    #[inline(always)]
    pub fn plus_one(word: u64, epoch: u64) -> u64 {
        if Held::has_room(word, epoch) { word + 1 } else { Held::plus_one_across(word, epoch) }
    }

    #[cold]
    fn plus_one_across(word: u64, epoch: u64) -> u64 {
        Held::of(word).at(epoch).plus().word()
    }

    /// Whether one less of those in flight since `epoch` is one less in a slot's word.
    #[inline(always)]
    pub fn has_some(word: u64, epoch: u64) -> bool {
        is_some_alone(word, epoch)
    }

    /// A slot's word as of epoch `now` with one less of those taken at `taken`.
    #[cold]
    pub fn minus_one_across(word: u64, now: u64, taken: u64) -> u64 {
        let held = Held::of(word).at(now);
        held.minus(taken).unwrap_or(held).word()
    }

    /// The same at a later epoch. An earlier one (time went back) changes nothing.
    #[inline(always)]
    pub fn at(self, epoch: u64) -> Held {
        match epoch.wrapping_sub(self.epoch) & EPOCH_MASK {
            0 => self,
            1 => Held { epoch, old: self.new, new: 0 },
            later if later <= EPOCH_MASK / 2 => Held { epoch, old: 0, new: 0 },
            _ => self,
        }
    }

    /// All in flight.
    #[inline(always)]
    pub fn inflight(self) -> u64 {
        (self.old + self.new) & COUNT_MASK
    }

    /// One more since the current epoch.
    #[inline(always)]
    pub fn plus(self) -> Held {
        Held { new: (self.new + 1) & COUNT_MASK, ..self }
    }

    /// One less of those taken at `taken`; None when they were taken back already.
    #[inline(always)]
    pub fn minus(self, taken: u64) -> Option<Held> {
        if taken == self.epoch {
            return Some(Held { new: self.new.wrapping_sub(1) & COUNT_MASK, ..self });
        }
        (taken == self.epoch.wrapping_sub(1) & EPOCH_MASK)
            .then(|| Held { old: self.old.wrapping_sub(1) & COUNT_MASK, ..self })
    }

    /// Both counts added, modulo 2²⁴.
    pub fn joined_with(self, other: Held) -> Held {
        Held { epoch: self.epoch, old: (self.old + other.old) & COUNT_MASK, new: (self.new + other.new) & COUNT_MASK }
    }
}

/// How many are in flight, for a word of this epoch without any from the epoch before; more than [`COUNT_MASK`] for other
/// words. So the common case takes one comparison.
#[inline(always)]
fn new_alone(word: u64, epoch: u64) -> u64 {
    word.wrapping_sub(epoch << (2 * COUNT_BITS))
}

/// Whether that number is one that can be given back from.
#[inline(always)]
fn is_some_alone(word: u64, epoch: u64) -> bool {
    new_alone(word, epoch).wrapping_sub(1) < COUNT_MASK
}

/// What taking a permit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The epoch to name when giving it back.
    pub epoch: u64,
    /// In flight with it.
    pub inflight: u64,
    /// Lost permits that the change of epoch took back.
    pub expired: u64,
}

/// Takes one permit of at most `limit` in a word of this epoch that holds none of the epoch before; as it mostly is. Tells how many
/// are in flight with it; None: nothing was taken.
#[inline(always)]
pub fn take_alone<W: Word>(word: &W, limit: u64, epoch: u64) -> Option<u64> {
    let common = |seen| if new_alone(seen, epoch) < limit { Some(seen + 1) } else { None };
    update_if(word, common).map(|seen| new_alone(seen, epoch) + 1)
}

/// Takes one permit of at most `limit`, which is at most [`MAX_LIMIT`]; Err tells how many are in flight.
pub fn take<W: Word>(word: &W, limit: u64, epoch: u64) -> Result<Taken, u64> {
    update(word, |seen| {
        let before = Held::of(seen);
        let now = before.at(epoch);
        if now.inflight() >= limit {
            return Err(now.inflight());
        }
        let next = now.plus();
        let expired = before.inflight() - now.inflight();
        Ok((next.word(), Taken { epoch: next.epoch, inflight: next.inflight(), expired }))
    })
}

/// Gives back a permit taken at `taken` when that is the epoch still and no other has left any; as it mostly is.
#[inline(always)]
pub fn give_back_alone<W: Word>(word: &W, taken: u64) -> bool {
    let common = |seen| if is_some_alone(seen, taken) { Some(seen - 1) } else { None };
    update_if(word, common).is_some()
}

/// Gives back a permit taken at `taken`, and tells the word's epoch; None when `max_hold` had already done so.
/// A permit that was taken back 2¹⁵ epochs ago names an epoch that is in force again: where none are in flight since, it
/// changes nothing.
#[cold]
pub fn give_back<W: Word>(word: &W, taken: u64) -> Option<u64> {
    let step = |seen| {
        let held = Held::of(seen);
        let since = if taken == held.epoch { held.new } else { held.old };
        let next = held.minus(taken).filter(|_| since > 0).ok_or(())?;
        Ok::<_, ()>((next.word(), next.epoch))
    };
    update(word, step).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    #[test]
    fn counts_to_the_limit() {
        let word = AtomicU64::new(0);
        let first = take(&word, 2, 7).unwrap();
        assert_eq!(first.inflight, 1);
        assert!(take(&word, 2, 7).is_ok());
        assert_eq!(take(&word, 2, 7), Err(2));
        assert!(give_back(&word, first.epoch).is_some());
        assert!(take(&word, 2, 7).is_ok());
    }

    #[test]
    fn a_lost_permit_is_taken_back_and_its_exit_is_harmless() {
        let hold = Hold::new(Some(1000), 0, 5);
        let word = AtomicU64::new(Held { epoch: 5, ..Held::default() }.word());
        let lost = take(&word, 1, hold.epoch(500)).unwrap();
        assert_eq!(take(&word, 1, hold.epoch(1499)), Err(1), "not before max_hold");
        let next = take(&word, 1, hold.epoch(2000)).unwrap();
        assert_eq!(next.expired, 1);
        assert!(give_back(&word, lost.epoch).is_none());
        assert_eq!(Held::of(word.load(Relaxed)).inflight(), 1);
        assert!(give_back(&word, next.epoch).is_some());
    }

    #[test]
    fn time_that_goes_back_changes_no_epoch() {
        let word = AtomicU64::new(0);
        let taken = take(&word, 9, 100).unwrap();
        assert_eq!(take(&word, 9, 3).unwrap().epoch, 100);
        assert!(give_back(&word, taken.epoch).is_some());
        assert_eq!(Held::of(word.load(Relaxed)).inflight(), 1);
    }

    #[test]
    fn an_exit_that_is_late_by_all_epochs_takes_nothing_from_none() {
        for ahead in [0, 1] {
            let word = AtomicU64::new(0);
            let lost = take(&word, 9, 7).unwrap();
            let first = take(&word, 9, 9).unwrap();
            assert_eq!(first.expired, 1);
            assert!(give_back(&word, first.epoch).is_some());
            let half = take(&word, 9, 9 + EPOCH_MASK / 2).unwrap();
            assert!(give_back(&word, half.epoch).is_some());
            let again = take(&word, 9, 7 + ahead).unwrap();
            assert!(give_back(&word, again.epoch).is_some());
            assert!(give_back(&word, lost.epoch).is_none());
            assert_eq!(Held::of(word.load(Relaxed)).inflight(), 0);
        }
    }

    proptest! {
        #[test]
        fn the_common_cases_are_cases(epoch in 0u64..3, old in 0u64..3, new in 0u64..3, low in any::<bool>(), taken in 0u64..3, pending in any::<bool>()) {
            let counts = if low { (old, new) } else { (COUNT_MASK - old, COUNT_MASK - new) };
            let word = Held { epoch, old: counts.0, new: counts.1 }.word();
            let marked = word | if pending { PENDING } else { 0 };
            prop_assert_eq!(Held::plus_one(marked, taken), Held::plus_one_across(word, taken));
            if Held::has_some(marked, taken) {
                prop_assert_eq!(marked - 1, Held::minus_one_across(word, taken, taken));
            }
            let (common, any) = (AtomicU64::new(word), AtomicU64::new(word));
            if let Some(inflight) = take_alone(&common, 5, taken) {
                prop_assert_eq!(take(&any, 5, taken), Ok(Taken { epoch: taken, inflight, expired: 0 }));
            }
            if give_back_alone(&common, taken) {
                prop_assert_eq!(give_back(&any, taken), Some(taken));
            }
            prop_assert_eq!(common.into_inner(), any.into_inner());
        }

        #[test]
        fn agrees_with_a_list_of_permits(steps in prop::collection::vec((0u8..3, 0u64..700), 1..300), limit in 1u64..20) {
            let hold = Hold::new(Some(1000), 0, 0);
            let word = AtomicU64::new(0);
            let (mut now, mut out): (u64, Vec<u64>) = (0, vec![]);
            for (step, pause) in steps {
                now += pause;
                let epoch = hold.epoch(now);
                if step < 2 {
                    let alive = out.iter().filter(|&&taken| taken + 1 >= epoch).count() as u64;
                    match take(&word, limit, epoch) {
                        Ok(taken) => { prop_assert!(alive < limit); prop_assert_eq!(taken.inflight, alive + 1); out.push(taken.epoch) }
                        Err(inflight) => prop_assert_eq!(inflight, alive),
                    }
                } else if let Some(taken) = out.pop() {
                    let word_epoch = Held::of(word.load(Relaxed)).epoch;
                    prop_assert_eq!(give_back(&word, taken).is_some(), taken + 1 >= word_epoch);
                }
                let word_epoch = Held::of(word.load(Relaxed)).epoch;
                out.retain(|&taken| taken + 1 >= word_epoch);
            }
        }
    }
}
