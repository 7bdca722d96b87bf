//! One decision, one atomic word: the few operations that a shared word needs, so that the same
//! transition runs on a cell of the segment and on loom's model of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A 64-bit atomic.
pub trait Word {
    /// Reads with acquire ordering.
    fn get(&self) -> u64;
    /// Replaces `old` by `new` (acquire-release), or tells what stands there.
    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64>;
    /// Adds (acquire-release), modulo 2⁶⁴, and tells what the word was.
    fn add(&self, n: u64) -> u64 {
        let mut seen = self.get();
        while let Err(now) = self.swap_if(seen, seen.wrapping_add(n)) {
            seen = now;
        }
        seen
    }
}

impl Word for AtomicU64 {
    #[inline(always)]
    fn get(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn swap_if(&self, old: u64, new: u64) -> Result<(), u64> {
        self.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    #[inline(always)]
    fn add(&self, n: u64) -> u64 {
        self.fetch_add(n, Ordering::AcqRel)
    }
}

/// Applies a pure transition until it lands: `step` says what the word becomes and what the caller
/// gets, or why it stays as it is.
#[inline(always)]
pub fn update<W: Word, T, E>(word: &W, step: impl FnMut(u64) -> Result<(u64, T), E>) -> Result<T, E> {
    update_from(word, word.get(), step)
}

/// The same of a word that was just seen.
#[inline(always)]
pub fn update_from<W: Word, T, E>(
    word: &W,
    mut seen: u64,
    mut step: impl FnMut(u64) -> Result<(u64, T), E>,
) -> Result<T, E> {
    loop {
        let (next, answer) = step(seen)?;
        if next == seen {
            return Ok(answer);
        }
        match word.swap_if(seen, next) {
            Ok(()) => return Ok(answer),
            Err(now) => seen = now,
        }
    }
}

/// The same for the common case of a transition, which needs no answer: `step` says what the word becomes, or None for
/// whatever else there is to do. Tells what the word was; None: nothing was done.
#[inline(always)]
pub fn update_if<W: Word>(word: &W, step: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let mut seen = word.get();
    loop {
        match word.swap_if(seen, step(seen)?) {
            Ok(()) => return Some(seen),
            Err(now) => seen = now,
        }
    }
}

/// Replaces `old` by `new` once: false when another value stands there.
pub fn replace<W: Word>(word: &W, old: u64, new: u64) -> bool {
    loop {
        match word.swap_if(old, new) {
            Ok(()) => return true,
            // A weak compare-and-swap may fail without a reason.
            Err(now) if now == old => {}
            Err(_) => return false,
        }
    }
}
