//! The words of a set, as pure functions.
//!
//! | word | upper bits | middle | lowest 4 |
//! |---|---|---|---|
//! | a free place | 28: zero | 32: in the how-manieth insertion it was freed | 0 |
//! | a key whose bucket is full | 28: fingerprint, not zero | 32: in which insertion it came | 0 |
//! | a key that has used tokens | 28: fingerprint | 32: the tick at which its bucket is full again | generation |
//! | the set's stamp | 28: epoch of time | 4: generation; 32: the overflow bucket's tick | |
//! | the set's claim | 28: fingerprint that comes in | 32: insertions so far | place + 1, or 0 |
//!
//! A key whose bucket is full needs no word: any other key may have its place, and nothing is forgotten.

/// Fingerprints have so many bits.
const PRINT_BITS: u32 = 28;
const TIME: u32 = 4;
const PRINT: u32 = 36;
pub(super) const GENERATION: u64 = 15;
/// The ticks of an epoch, as a power of two: at least four times what fills a bucket. Within a set whose stamp is of
/// this epoch or the one before, no time of a word is more than 2³¹ ticks away.
const EPOCH: u32 = 29;

/// The fingerprint of a hash: its lowest bits, as sets are chosen by the highest; never zero.
#[inline(always)]
pub(super) fn print_of_hash(hash: u64) -> u64 {
    (hash & ((1 << PRINT_BITS) - 1)).max(1)
}

/// Where in a set of `places` a hash looks first.
#[inline(always)]
pub(super) fn home(hash: u64, places: usize) -> usize {
    ((hash >> PRINT_BITS & 0xff) as usize * places) >> 8
}

/// The fingerprint of a key's word.
#[inline(always)]
pub(super) fn print(word: u64) -> u64 {
    word >> PRINT
}

#[inline(always)]
pub(super) fn generation(word: u64) -> u64 {
    word & GENERATION
}

pub(super) fn free(insertions: u32) -> u64 {
    u64::from(insertions) << TIME
}

pub(super) fn is_free(word: u64) -> bool {
    print(word) == 0
}

pub(super) fn full(print: u64, insertions: u32) -> u64 {
    print << PRINT | free(insertions)
}

#[inline(always)]
pub(super) fn used(print: u64, tick: u64, generation: u64) -> u64 {
    print << PRINT | (tick & 0xffff_ffff) << TIME | generation
}

/// How many ticks after `tick` a used bucket is full again; not positive: it is full.
#[inline(always)]
pub(super) fn ahead(word: u64, tick: u64) -> i32 {
    ((word >> TIME) as u32).wrapping_sub(tick as u32) as i32
}

/// The stamp of a set: epoch and generation, 32 bits.
#[inline(always)]
pub(super) fn stamp(tick: u64, generation: u64) -> u64 {
    (tick >> EPOCH & 0x0fff_ffff) << 4 | generation
}

/// The stamp in a stamp word.
#[inline(always)]
pub(super) fn stamp_of(word: u64) -> u64 {
    word >> 32
}

pub(super) fn with_overflow(stamp: u64, tick: u64) -> u64 {
    stamp << 32 | (tick & 0xffff_ffff)
}

/// How many ticks after `tick` the overflow bucket is full again.
pub(super) fn overflow_ahead(word: u64, tick: u64) -> i32 {
    (word as u32).wrapping_sub(tick as u32) as i32
}

/// How many epochs lie between a stamp and a tick, modulo 2²⁸.
pub(super) fn epochs_since(stamp: u64, tick: u64) -> i32 {
    let (now, then) = ((tick >> EPOCH) as i32, (stamp >> 4) as i32);
    now.wrapping_sub(then) << 4 >> 4
}

/// Whether generation `other` follows `mine` rather than comes before it: 1 to 15 in a circle.
pub(super) fn is_newer(other: u64, mine: u64) -> bool {
    (1..=7).contains(&age(mine, other))
}

/// How many changes of the rule ago `other` was, when it was not after `mine`: 0 to 14.
pub(super) fn age(other: u64, mine: u64) -> u64 {
    (mine + 15 - other) % 15
}

/// An insertion that has been announced, so that anybody can complete it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim(pub u64);

impl Claim {
    pub(super) fn pending(self) -> bool {
        self.0 & 15 != 0
    }

    pub(super) fn place(self) -> usize {
        (self.0 & 15).wrapping_sub(1) as usize
    }

    pub(super) fn insertions(self) -> u32 {
        (self.0 >> TIME) as u32
    }

    /// The next insertion: of a fingerprint, into a place.
    pub(super) fn announce(self, print: u64, place: usize) -> Claim {
        Claim(full(print, self.insertions().wrapping_add(1)) | (place as u64 + 1) & 15)
    }

    /// The word of the key that comes in.
    pub(super) fn newcomer(self) -> u64 {
        full(print(self.0), self.insertions())
    }

    pub(super) fn done(self) -> Claim {
        Claim(free(self.insertions()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_apart_across_the_turn_of_the_counter() {
        for tick in [0u64, 5, (1 << 32) - 3, 1 << 40] {
            assert_eq!(ahead(used(7, tick + 10, 3), tick), 10);
            assert_eq!(ahead(used(7, tick, 3), tick + 10), -10);
            assert_eq!(overflow_ahead(with_overflow(9, tick + 10), tick), 10);
        }
    }

    #[test]
    fn epochs_are_told_apart_across_the_turn_of_the_counter() {
        for tick in [0u64, 1 << 57, (1 << 57) - 1, (1 << 57) + (1 << 30)] {
            let seen = stamp(tick, 3);
            for epochs in [0i32, 1, 2, 1000] {
                assert_eq!(epochs_since(seen, tick + ((epochs as u64) << EPOCH)), epochs);
                assert_eq!(epochs_since(stamp(tick + ((epochs as u64) << EPOCH), 3), tick), -epochs);
            }
        }
    }

    #[test]
    fn generations_go_in_a_circle() {
        assert!(is_newer(2, 1) && is_newer(1, 15) && is_newer(8, 1));
        assert!(!is_newer(1, 1) && !is_newer(1, 2) && !is_newer(15, 1) && !is_newer(9, 1));
        assert_eq!((age(15, 1), age(3, 3), age(1, 3)), (1, 0, 2));
    }

    #[test]
    fn a_claim_says_what_comes_in_where() {
        let claim = Claim(free(u32::MAX)).announce(9, 13);
        assert!(claim.pending() && !claim.done().pending());
        assert_eq!((claim.place(), claim.newcomer(), claim.insertions()), (13, full(9, 0), 0));
    }
}
