//! The window of an adaptive limit: which one it is, and who may turn it.
//!
//! The word: index (24 bits) | due (40 bits, in 2¹⁴ ns, modulo 208 days). Whoever ends a call after `due` first takes a
//! short *lease* by moving `due` on; it alone looks at the sum. If that suffices, it turns the window by a second
//! compare-and-swap, which raises the index: exactly one caller turns each window, and computes from it. A process
//! that dies in between loses its lease by time.
//!
//! Source of the idea that samples are judged by windows: `WindowedLimit` of Netflix's concurrency-limits.

use crate::word::{Word, replace};

const DUE_BITS: u32 = 40;
const DUE_MASK: u64 = (1 << DUE_BITS) - 1;
const INDEX_MASK: u64 = (1 << 24) - 1;
/// Nanoseconds of a unit of `due`, as a power of two.
const UNIT_BITS: u32 = 14;
/// The longest window in ns: 60 s.
pub const LONGEST_NS: u64 = 60_000_000_000;
/// The shortest window in ns: 1 ms.
pub const SHORTEST_NS: u64 = 1_000_000;
const LONGEST: u64 = units(LONGEST_NS);

const fn units(ns: u64) -> u64 {
    ns.div_ceil(1 << UNIT_BITS)
}

/// The index of a window word, 24 bits.
#[inline(always)]
pub const fn index_of(word: u64) -> u64 {
    word >> DUE_BITS
}

/// Whether the window is due. So is one that is due later than any can be: the clock went back. **Hot.**
#[inline(always)]
pub const fn is_due(word: u64, now: u64) -> bool {
    word.wrapping_sub(now >> UNIT_BITS).wrapping_sub(1) & DUE_MASK >= LONGEST
}

const fn word_of(index: u64, now: u64, wait_ns: u64) -> u64 {
    let wait = units(if wait_ns < LONGEST_NS { wait_ns } else { LONGEST_NS });
    (index & INDEX_MASK) << DUE_BITS | (now >> UNIT_BITS).wrapping_add(wait) & DUE_MASK
}

/// The right to look at a window, until it is due again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    word: u64,
}

impl Lease {
    /// The window's index.
    pub const fn index(self) -> u64 {
        index_of(self.word)
    }

    /// Turns the window: the next one is due after `wait_ns` (at most [`LONGEST_NS`]). True for exactly one caller a window.
    pub fn turn<W: Word>(self, word: &W, now: u64, wait_ns: u64) -> bool {
        replace(word, self.word, word_of(self.index() + 1, now, wait_ns))
    }
}

/// Asks for the lease of a window that is due; it lasts `lease_ns`. None: it is not due, or another has it.
pub fn lease<W: Word>(word: &W, now: u64, lease_ns: u64) -> Option<Lease> {
    let seen = word.get();
    if !is_due(seen, now) {
        return None;
    }
    // At least two units, so that a lease is a change and is not due at once.
    let leased = word_of(index_of(seen), now, lease_ns.max(2 << UNIT_BITS));
    replace(word, seen, leased).then_some(Lease { word: leased })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const MS: u64 = 1_000_000;

    #[test]
    fn a_window_turns_once_when_it_is_due() {
        let word = AtomicU64::new(word_of(7, 0, 10 * MS));
        assert_eq!(lease(&word, 9 * MS, MS), None);
        let first = lease(&word, 11 * MS, MS).unwrap();
        assert_eq!((first.index(), lease(&word, 11 * MS, MS)), (7, None));
        assert!(first.turn(&word, 11 * MS, 10 * MS));
        assert!(!first.turn(&word, 11 * MS, 10 * MS));
        assert_eq!(index_of(word.load(Relaxed)), 8);
    }

    #[test]
    fn a_lease_whose_holder_died_ends_and_its_late_turn_fails() {
        let word = AtomicU64::new(word_of(7, 0, MS));
        let dead = lease(&word, 5 * MS, MS).unwrap();
        let next = lease(&word, 7 * MS, MS).unwrap();
        assert!(!dead.turn(&word, 7 * MS, MS));
        assert!(next.turn(&word, 7 * MS, MS));
    }

    #[test]
    fn a_fresh_word_is_due_and_a_clock_that_went_back_does_not_wedge_it() {
        assert!(is_due(0, 3600 * 1000 * MS));
        let far = word_of(3, 3600 * 1000 * MS, 100 * MS);
        assert!(is_due(far, 0));
    }

    #[test]
    fn the_index_wraps_without_touching_the_time() {
        let word = AtomicU64::new(word_of(INDEX_MASK, 0, MS));
        assert!(lease(&word, 2 * MS, MS).unwrap().turn(&word, 2 * MS, 10 * MS));
        assert_eq!(index_of(word.load(Relaxed)), 0);
        assert!(!is_due(word.load(Relaxed), 11 * MS) && is_due(word.load(Relaxed), 13 * MS));
    }

    #[test]
    fn a_storm_turns_each_window_once() {
        let (word, clock) = (AtomicU64::new(0), AtomicU64::new(0));
        let turned: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let storm = || {
                let turn = |_| {
                    let now = clock.fetch_add(MS / 16, AcqRel);
                    lease(&word, now, MS).filter(|lease| lease.turn(&word, now, MS)).map(Lease::index)
                };
                (0..20_000).filter_map(turn).collect()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(storm)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut all = turned.concat();
        all.sort_unstable();
        assert_eq!(all, (0..index_of(word.load(Relaxed))).collect::<Vec<_>>());
        assert!(all.len() > 1000, "{}", all.len());
    }

    proptest! {
        #[test]
        fn is_due_after_its_wait_and_not_a_unit_before(now in 0u64..1 << 62, wait in 1u64..LONGEST_NS) {
            let word = word_of(5, now, wait);
            let (unit, due) = (1 << UNIT_BITS, (now >> UNIT_BITS) + units(wait));
            prop_assert!(!is_due(word, (due - 1) * unit + unit - 1) && is_due(word, due * unit));
            prop_assert!(due * unit < now + wait + 2 * unit);
        }
    }
}
