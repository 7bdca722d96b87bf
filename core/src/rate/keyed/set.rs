//! One set: a few keys that share a stamp, a claim and an overflow bucket; and how a new key comes in.
//!
//! A fingerprint stands in a set at most once, or its key would have twice its limit. So insertions follow each other:
//!
//! ```text
//! 1. read the claim c; when an insertion is pending, complete it and begin again
//! 2. look for the fingerprint once more: no insertion since c can have been missed if 4 succeeds
//! 3. choose a free place; or one whose key has a full bucket, and free it, marked with c's count
//! 4. claim: c → (fingerprint, place, count + 1), which fails if another came first
//! 5. place: free → the key, with a full bucket     } by the claimer, or by whoever
//! 6. claim: → (none, count + 1)                    } meets the pending claim
//! ```
//!
//! Who dies between any two steps leaves at most a claim that the next one completes. Who is late with step 5 finds
//! another word than the free one that it read while the claim was pending: free words carry the count, and a word
//! is only replaced if it was read while the count stood.

use super::place::{self, Claim};
use crate::word::Word;

/// How often a call tries again because others change the set meanwhile. Each time another one got on.
pub(super) const ROUNDS: usize = 64;

/// A set of `P` places.
pub struct Set<'a, W, const P: usize> {
    pub(super) stamp: &'a W,
    claim: &'a W,
    pub(super) places: &'a [W; P],
}

impl<'a, W: Word, const P: usize> Set<'a, W, P> {
    /// A set on its words, which are zero at first: stamp, claim, places (no more than 14).
    pub fn new(stamp: &'a W, claim: &'a W, places: &'a [W; P]) -> Self {
        const { assert!(P > 0 && P < 15) };
        Set { stamp, claim, places }
    }

    /// The place of a key. **Hot.**
    #[inline(always)]
    pub(super) fn find(&self, print: u64, home: usize) -> Option<&'a W> {
        self.find_word(print, home).map(|(place, _)| place)
    }

    /// The same, and its word.
    #[inline(always)]
    pub(super) fn find_word(&self, print: u64, home: usize) -> Option<(&'a W, u64)> {
        let at_home = self.places.get(home).map(|place| (place, place.get()));
        at_home.filter(|&(_, word)| place::print(word) == print).or_else(|| {
            // All are compared without a branch: where a key stands cannot be foreseen.
            let is_it = |word: &W| place::print(word.get()) == print;
            let bits = self.places.iter().rev().fold(0u32, |bits, word| bits << 1 | u32::from(is_it(word)));
            self.places.get(bits.trailing_zeros() as usize).map(|place| (place, place.get()))
        })
    }

    /// How many insertions there have been, modulo 2³².
    pub(super) fn insertions(&self) -> u32 {
        Claim(self.claim.get()).insertions()
    }

    /// Brings a key in that is not there, with a full bucket; `idle` tells words of keys that need none. None: all
    /// places are needed.
    #[cold]
    #[inline(never)]
    pub(super) fn insert(&self, print: u64, home: usize, idle: impl Fn(u64) -> bool) -> Option<&'a W> {
        for _ in 0..ROUNDS {
            let claim = Claim(self.claim.get());
            if claim.pending() {
                self.complete(claim);
                continue;
            }
            if let Some(found) = self.find(print, home) {
                return Some(found);
            }
            let (index, word) = self.spare(home, &idle)?;
            if !self.free(claim, index, word) {
                continue;
            }
            let mine = claim.announce(print, index);
            if self.claim.swap_if(claim.0, mine.0).is_ok() {
                self.complete(mine);
                return self.places.get(index);
            }
        }
        None
    }

    /// A place that is free, or else one of a key that needs none; and its word.
    fn spare(&self, home: usize, idle: impl Fn(u64) -> bool) -> Option<(usize, u64)> {
        let from_home = (0..P).map(|step| (home + step) % P);
        let words = || from_home.clone().filter_map(|index| Some((index, self.places.get(index)?.get())));
        words().find(|&(_, word)| place::is_free(word)).or_else(|| words().find(|&(_, word)| idle(word)))
    }

    /// Frees a place whose word was read after the claim; false when something has changed since.
    fn free(&self, claim: Claim, index: usize, word: u64) -> bool {
        if place::is_free(word) {
            return true;
        }
        let Some(place) = self.places.get(index) else { return false };
        self.claim.get() == claim.0 && place.swap_if(word, place::free(claim.insertions())).is_ok()
    }

    /// Completes a pending insertion, one's own or another's.
    fn complete(&self, claim: Claim) {
        if let Some(place) = self.places.get(claim.place()) {
            loop {
                let word = place.get();
                if self.claim.get() != claim.0 {
                    return;
                }
                if !place::is_free(word) || place.swap_if(word, claim.newcomer()).is_ok() {
                    break;
                }
            }
        }
        // Failing means that another has completed it, or that the next one will.
        let _ = self.claim.swap_if(claim.0, claim.done().0);
    }
}
