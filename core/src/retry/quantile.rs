//! A figure that costs something to compute, such as a latency quantile of a histogram, kept in one word with its time: it is
//! computed at most once a period, by whoever comes first, and read by all others for one load.
//!
//! The word: the figure in 2¹⁰ ns, rounded up (40 bits: 13 days, more saturates; 0: not known) | time in 2²⁰ ns (24 bits,
//! modulo 4.9 hours). Who finds it too old claims it by writing its own time beside the old figure, computes, and
//! writes the new one where its claim still stands. A claimant that dies is followed by another one period later.

use crate::word::Word;

const FIGURE_UNIT_BITS: u32 = 10;
const TIME_UNIT_BITS: u32 = 20;
const TIME_BITS: u32 = 24;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const FIGURE_MAX: u64 = (1 << 40) - 1;
/// How long a figure stands, in the word's units: a second, rounded up.
const PERIOD: u64 = 954;

/// The figure, in nanoseconds rounded up to 1024; None while nobody knows. **Hot**, but for the one caller a second
/// that runs `compute`.
pub fn read<W: Word>(word: &W, now: u64, compute: impl FnOnce() -> Option<u64>) -> Option<u64> {
    let seen = word.get();
    let claim = figure_bits(seen) | time_of(now);
    if !is_due(seen, now) || word_swap(word, seen, claim).is_err() {
        return figure(seen);
    }
    let next = compute().map_or(claim, |ns| bits_of(ns) | time_of(now));
    // Failing means that this took so long that another one has claimed it since.
    let _ = word_swap(word, claim, next);
    figure(next)
}

/// The figure as it stands, however old.
pub fn peek<W: Word>(word: &W) -> Option<u64> {
    figure(word.get())
}

/// Swaps for certain where the word is as seen: the weak exchange may fail without reason.
fn word_swap<W: Word>(word: &W, old: u64, new: u64) -> Result<(), u64> {
    loop {
        match word.swap_if(old, new) {
            Err(seen) if seen == old => {}
            done => return done,
        }
    }
}

/// Whether the figure is a period old, or of a time that is to come (time went back); a late caller's
/// present may lie up to a period before the word's.
fn is_due(seen: u64, now: u64) -> bool {
    let age = time_of(now).wrapping_sub(seen) & TIME_MASK;
    seen == 0 || (PERIOD..=TIME_MASK - PERIOD).contains(&age)
}

/// The time's bits; never 0 beside a figure of 0, which is the word that nobody has touched.
fn time_of(now: u64) -> u64 {
    (now >> TIME_UNIT_BITS & TIME_MASK).max(1)
}

fn bits_of(ns: u64) -> u64 {
    ns.div_ceil(1 << FIGURE_UNIT_BITS).clamp(1, FIGURE_MAX) << TIME_BITS
}

fn figure_bits(word: u64) -> u64 {
    word & !TIME_MASK
}

fn figure(word: u64) -> Option<u64> {
    Some(word >> TIME_BITS << FIGURE_UNIT_BITS).filter(|&ns| ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

    const SECOND: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    #[test]
    fn is_computed_once_a_second() {
        let (word, computed) = (AtomicU64::new(0), Cell::new(0));
        let ask = |now| {
            read(&word, now, || {
                computed.set(computed.get() + 1);
                Some(computed.get() * 1024)
            })
        };
        for now in (5 * SECOND..15 * SECOND).step_by(10 * MS as usize) {
            assert!(ask(now).is_some());
        }
        assert_eq!(computed.get(), 10);
        assert_eq!(peek(&word), Some(10 * 1024));
    }

    #[test]
    fn is_not_known_before_it_is_computed() {
        let word = AtomicU64::new(0);
        assert_eq!(read(&word, 0, || None), None);
        assert_eq!(read(&word, MS, || Some(1)), None, "asked a moment ago");
        assert_eq!(read(&word, 2 * SECOND, || Some(1)), Some(1024));
        assert_eq!(read(&word, 4 * SECOND, || None), Some(1024), "no news: the old one stands");
    }

    #[test]
    fn who_comes_meanwhile_gets_the_old_one() {
        let word = AtomicU64::new(0);
        read(&word, SECOND, || Some(50 * 1024));
        let during = Cell::new(None);
        let after = read(&word, 3 * SECOND, || {
            during.set(read(&word, 3 * SECOND, || unreachable!("claimed already")));
            Some(70 * 1024)
        });
        assert_eq!((during.get(), after), (Some(50 * 1024), Some(70 * 1024)));
    }

    #[test]
    fn a_claim_that_is_overtaken_changes_nothing() {
        let word = AtomicU64::new(0);
        let late = read(&word, SECOND, || {
            read(&word, 3 * SECOND, || Some(2048));
            Some(9 * 1024)
        });
        assert_eq!((late, peek(&word)), (Some(9 * 1024), Some(2048)));
    }

    #[test]
    fn time_that_goes_back_makes_it_due() {
        let word = AtomicU64::new(0);
        read(&word, 3600 * SECOND, || Some(1024));
        assert_eq!(read(&word, 3600 * SECOND - MS, || unreachable!("a late caller")), Some(1024));
        assert_eq!(read(&word, SECOND, || Some(2048)), Some(2048));
        assert_eq!(read(&word, u64::MAX / 3, || Some(u64::MAX)), Some(FIGURE_MAX << 10), "saturates");
    }

    #[test]
    fn a_storm_computes_once() {
        let (word, computed) = (AtomicU64::new(0), AtomicU32::new(0));
        let compute = || {
            computed.fetch_add(1, Relaxed);
            Some(1024)
        };
        let ask = || (0..1000).filter(|_| read(&word, SECOND, compute).is_some()).count();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(ask);
            }
        });
        assert_eq!(computed.into_inner(), 1);
    }

    proptest! {
        #[test]
        fn tells_what_was_computed(ns: u64, now: u64) {
            let word = AtomicU64::new(0);
            let told = read(&word, now, || Some(ns)).unwrap();
            prop_assert!(told >= ns.clamp(1, FIGURE_MAX << 10) && told <= ns.saturating_add(1024).max(1024));
            prop_assert_eq!(peek(&word), Some(told));
        }
    }
}
