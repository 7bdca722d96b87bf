//! The numbers of one rate limit, as words of a block.

use super::mode;
use crate::rate::Rate;
use crate::rate::token_bucket::One;
use crate::rules::Mode;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One rate limit, and what it was before the last change, so that whoever meets a word of the old numbers can
/// bring it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateNumbers {
    /// Its numbers.
    pub rate: Rate,
    /// Its numbers before.
    pub before: Option<Rate>,
    /// Each key has a limit of its own: the numbers for it stand in [`super::KeyedNumbers`], and of these here only the mode counts.
    pub keyed: bool,
    /// Its mode.
    pub mode: Mode,
}

/// In the first word: the limit is by key.
const KEYED: u64 = 1 << 2;

const PLAIN: usize = 1;
const BEFORE: usize = PLAIN + 8;
const WORDS: usize = BEFORE + 8;

/// The words: mode (2 bits), whether it is by key, kinds of the two (from bits 8 and 16); the numbers; those before.
#[repr(transparent)]
pub struct RateWords([AtomicU64; WORDS]);

impl RateWords {
    /// No limit.
    pub const fn none() -> RateWords {
        RateWords([const { AtomicU64::new(0) }; WORDS])
    }

    /// The limit's mode.
    #[inline(always)]
    pub fn mode(&self) -> Mode {
        mode(self.0[0].load(Relaxed))
    }

    /// Whether each key has a limit of its own.
    #[inline]
    pub fn is_keyed(&self) -> bool {
        self.0[0].load(Relaxed) & KEYED != 0
    }

    /// Its numbers; None: no rule gave them, or they are by key.
    #[inline]
    pub fn rate(&self) -> Option<Rate> {
        if self.is_keyed() { None } else { self.rate_of_any() }
    }

    #[inline]
    fn rate_of_any(&self) -> Option<Rate> {
        Rate::of(self.0[0].load(Relaxed) >> 8 & 0xFF, self.eight(PLAIN))
    }

    /// Its numbers before the last change.
    pub fn before(&self) -> Option<Rate> {
        Rate::of(self.0[0].load(Relaxed) >> 16 & 0xFF, self.eight(BEFORE))
    }

    /// What taking a single token needs, where it is a token bucket that lets nobody wait.
    pub fn one(&self) -> Option<One> {
        if let Some(Rate::TokenBucket(bucket)) = self.rate() { Some(bucket.one()) } else { None }
    }

    #[inline]
    fn eight(&self, from: usize) -> [u64; 8] {
        std::array::from_fn(|index| self.0[from + index].load(Relaxed))
    }

    pub(super) fn read(&self) -> Option<RateNumbers> {
        let rate = self.rate_of_any()?;
        Some(RateNumbers { rate, before: self.before(), keyed: self.is_keyed(), mode: self.mode() })
    }

    pub(super) fn write(&self, numbers: &RateNumbers) {
        let before = numbers.before.map_or(0, |rate| rate.kind());
        let keyed = if numbers.keyed { KEYED } else { 0 };
        let first = numbers.mode as u64 | keyed | numbers.rate.kind() << 8 | before << 16;
        let words =
            [first].into_iter().chain(numbers.rate.words()).chain(numbers.before.map_or([0; 8], |rate| rate.words()));
        for (to, from) in self.0.iter().zip(words) {
            to.store(from, Relaxed);
        }
    }
}
