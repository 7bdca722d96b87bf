//! What the rate limits share: how they refuse, and the generation in the lowest bits of each word.

/// The lowest bits of every word of a rate limit: which change of the numbers it is of, 1 to 15 in a circle; 0: nobody
/// has touched it.
pub(crate) const GENERATION_BITS: u32 = 4;
pub(crate) const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// Why a rate limit said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too little is left; there will be enough after so many nanoseconds.
    Empty(u64),
    /// The cost exceeds what the limit can ever give, so there never will be enough.
    Never,
    /// The word is of other numbers: load the rule again.
    Stale,
}

/// Whether the word is one that nobody has touched; an error when it is of other numbers.
#[inline(always)]
pub(super) fn untouched(seen: u64, generation: u64) -> Result<bool, Refusal> {
    match seen & GENERATION_MASK {
        0 => Ok(true),
        own if own == generation => Ok(false),
        _ => Err(Refusal::Stale),
    }
}

/// Whether a word is of these numbers; one that nobody has touched is of any.
#[inline(always)]
pub(super) fn owns(word: u64, generation: u64) -> bool {
    untouched(word, generation).is_ok()
}

/// Whether a generation can stand in a word.
#[inline]
pub(super) fn is_generation(generation: u64) -> bool {
    (1..=GENERATION_MASK).contains(&generation)
}

/// `part` of `whole` in thousandths, at most 1000.
pub(super) fn per_mille(part: u64, whole: u64) -> u32 {
    let exact = u128::from(part) * 1000 / u128::from(whole.max(1));
    exact.min(1000) as u32
}

/// So many nanoseconds, or as many as fit.
#[inline]
pub(super) fn saturating(ns: u128) -> u64 {
    u64::try_from(ns).unwrap_or(u64::MAX)
}
