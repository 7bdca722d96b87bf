//! The words of a counted breaker: a number (32 bits, saturating) under a tag (32 bits) that says of what it is one. A number
//! of another tag counts as none, so that nothing is ever cleared.
//!
//! A word is changed only if, after it was read, its tag was still the present one: then whoever uses the word under a later
//! tag either has not come yet, and finds ours to be none, or makes our exchange fail.

use crate::word::{Word, update};

/// Words of a bucket: requests less the excluded ones, excluded, succeeded, failed.
pub const BUCKET_WORDS: usize = 4;

const NUMBER_MASK: u64 = (1 << 32) - 1;
/// In the number of a run: its calls failed.
const FAILING: u32 = 1 << 31;

/// Why a word stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The step says so.
    Refused,
    /// The tag is no longer the present one.
    Past,
}

/// The tag of a bucket. Windows of one bucket begin a generation each time, so all of the tag is generation; others begin one
/// only when the state changes, and most of the tag is age.
pub fn tag(buckets: u64, generation: u64, age: u64) -> u64 {
    match buckets {
        0 | 1 => generation & NUMBER_MASK,
        _ => (generation & 0xFFF) << 20 | age & 0xF_FFFF,
    }
}

/// What a word holds under a tag.
pub fn number(word: u64, tag: u64) -> u32 {
    if word >> 32 == tag & NUMBER_MASK { word as u32 } else { 0 }
}

/// Replaces the number under `tag` by a step from it, while the tag is the present one; tells the new one.
pub fn change<W: Word>(
    word: &W,
    tag: u64,
    is_present: impl Fn() -> bool,
    step: impl Fn(u32) -> Option<u32>,
) -> Result<u32, Kept> {
    update(word, |seen| {
        if !is_present() {
            return Err(Kept::Past);
        }
        let next = step(number(seen, tag)).ok_or(Kept::Refused)?;
        Ok(((tag & NUMBER_MASK) << 32 | u64::from(next), next))
    })
}

/// A run of calls that all ended alike, and one call more.
pub fn run_on(run: u32, failed: bool) -> u32 {
    let (successes, failures) = ends_of(run);
    let (before, mark) = if failed { (failures, FAILING) } else { (successes, 0) };
    mark | (before + 1).min(FAILING - 1)
}

/// Successes and failures in a row that a run stands for; one of them is 0.
pub fn ends_of(run: u32) -> (u32, u32) {
    if run & FAILING == 0 { (run, 0) } else { (0, run & !FAILING) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    #[test]
    fn numbers_of_another_tag_are_none() {
        let word = AtomicU64::new(7 << 32 | 5);
        assert_eq!((number(5 | 7 << 32, 7), number(5 | 7 << 32, 8)), (5, 0));
        assert_eq!(change(&word, 8, || true, |n| n.checked_add(1)), Ok(1));
        assert_eq!(change(&word, 7, || false, |n| n.checked_add(1)), Err(Kept::Past));
        assert_eq!(change(&word, 8, || true, |_| None), Err(Kept::Refused));
        assert_eq!(word.load(Relaxed), 8 << 32 | 1);
    }

    #[test]
    fn runs_turn_and_saturate() {
        let run = [true, true, false, true, true, true].into_iter().fold(0, run_on);
        assert_eq!(ends_of(run), (0, 3));
        assert_eq!(ends_of(run_on(run, false)), (1, 0));
        assert_eq!(ends_of(run_on(u32::MAX, true)), (0, FAILING - 1));
        assert_eq!(ends_of(run_on(FAILING - 1, false)), (FAILING - 1, 0));
    }

    #[test]
    fn a_tag_of_many_buckets_holds_generation_and_age() {
        assert_ne!(tag(10, 1, 5), tag(10, 2, 5));
        assert_ne!(tag(10, 1, 5), tag(10, 1, 15));
        assert_eq!(tag(1, 9, 0), tag(0, 9, 77), "one bucket has no age");
    }
}
