//! How long calls usually take of late: a quantile of the durations that were recorded since a while ago.
//!
//! A guard's histogram only grows. So each process that asks remembers how it stood at two moments, at least [`TURN_NS`] and
//! [`LEAST`] durations apart, and looks at what has come since the earlier one: the last 15 to 30 seconds, or longer where calls
//! are rare. A process that has just come begins with all there is.

use super::cell::{LATENCY, RUN};
use super::handle::Guard;
use crate::fork;
use crate::metrics::histogram::{BUCKETS, Counts};
use crate::slot::lane::each_run;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// So many durations make a quantile.
const LEAST: u64 = 32;
const TURN_NS: u64 = 15_000_000_000;

/// What a handle remembers, once somebody has asked; never freed, as handles are not.
pub(super) struct Usual(AtomicPtr<Memory>);

/// How the histogram stood.
struct Memory {
    /// The fork epoch of the process in which a thread uses it; 0: nobody does.
    used_in: AtomicU64,
    turned_at: AtomicU64,
    earlier: Stood,
    later: Stood,
}

struct Stood([AtomicU64; BUCKETS + 1]);

impl Stood {
    fn nothing() -> Stood {
        Stood([const { AtomicU64::new(0) }; BUCKETS + 1])
    }

    fn keep(&self, counts: &Counts) {
        self.0.iter().zip(counts.all()).for_each(|(to, from)| to.store(from, Relaxed));
    }

    fn copy_from(&self, other: &Stood) {
        self.0.iter().zip(&other.0).for_each(|(to, from)| to.store(from.load(Relaxed), Relaxed));
    }

    /// How many have come since.
    fn count_since(&self, counts: &Counts) -> u64 {
        self.0.iter().zip(counts.all()).map(|(before, now)| now.saturating_sub(before.load(Relaxed))).sum()
    }
}

impl Usual {
    pub(super) const fn unknown() -> Usual {
        Usual(AtomicPtr::new(null_mut()))
    }

    fn memory(&self) -> &'static Memory {
        // SAFETY: null, or made below and never freed.
        if let Some(memory) = unsafe { self.0.load(Acquire).as_ref() } {
            return memory;
        }
        let new = Box::into_raw(Box::new(Memory::empty()));
        match self.0.compare_exchange(null_mut(), new, AcqRel, Acquire) {
            // SAFETY: as above.
            Ok(_) => unsafe { &*new },
            Err(other) => {
                // SAFETY: ours, and nobody has seen it; and the other one as above.
                unsafe {
                    drop(Box::from_raw(new));
                    &*other
                }
            }
        }
    }
}

impl Memory {
    fn empty() -> Memory {
        let (used_in, turned_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Memory { used_in, turned_at, earlier: Stood::nothing(), later: Stood::nothing() }
    }

    /// Leaves of the counts what has come of late; false when somebody else is asking. A parent's thread that was in here at a
    /// fork is not.
    fn keep_late(&self, counts: &mut Counts, now: u64) -> bool {
        let (here, seen) = (fork::epoch(), self.used_in.load(Relaxed));
        if seen == here || self.used_in.compare_exchange(seen, here, Acquire, Relaxed).is_err() {
            return false;
        }
        self.turn(counts, now);
        // A lane that was given back has taken its counts along.
        counts.take_off(self.earlier.0.iter().map(|word| word.load(Relaxed)));
        self.used_in.store(0, Release);
        true
    }

    fn turn(&self, counts: &Counts, now: u64) {
        let turned_at = self.turned_at.load(Relaxed);
        // Also where time went back.
        let is_due = turned_at == 0 || now.wrapping_sub(turned_at) >= TURN_NS;
        if is_due && self.later.count_since(counts) >= LEAST {
            self.earlier.copy_from(&self.later);
            self.later.keep(counts);
            self.turned_at.store(now.max(1), Relaxed);
        }
    }
}

impl Guard {
    /// A quantile, in millionths, of the durations of late, in ns; None: there are too few, or another thread is asking. Sums all
    /// slots' histograms.
    #[cold]
    #[inline(never)]
    pub(super) fn usual_ns(&self, millionths: u64, now: u64) -> Option<u64> {
        let (segment, mut counts) = (self.shared.segment(), Counts::new());
        each_run(segment, self.place, RUN, self.generation, |_, run| counts.add(segment, run, LATENCY));
        let is_known = self.usual.memory().keep_late(&mut counts, now) && counts.count() >= LEAST;
        let seconds = counts.quantile(millionths as f64 / 1e6).filter(|_| is_known)?;
        Some(((seconds * 1e9) as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn counts(of: &[(usize, u64)]) -> Counts {
        let mut buckets = [0; BUCKETS];
        of.iter().for_each(|&(bucket, n)| buckets[bucket] = n);
        Counts::of(buckets)
    }

    /// How many of so many came of late.
    fn late(memory: &Memory, of: &[(usize, u64)], seconds: u64) -> u64 {
        let mut counts = counts(of);
        assert!(memory.keep_late(&mut counts, seconds * SECOND));
        counts.count()
    }

    #[test]
    fn what_came_long_ago_is_forgotten() {
        let memory = Memory::empty();
        assert_eq!(late(&memory, &[(3, 100)], 1), 100, "all there is");
        assert_eq!(late(&memory, &[(3, 150)], 15), 150, "a turn is not over");
        assert_eq!(late(&memory, &[(3, 200)], 16), 100, "since the first look");
        assert_eq!(late(&memory, &[(3, 200), (4, 40)], 30), 140);
        assert_eq!(late(&memory, &[(3, 200), (4, 41)], 31), 41, "since the second");
    }

    #[test]
    fn a_turn_waits_for_enough() {
        let memory = Memory::empty();
        late(&memory, &[(7, 100)], 1);
        for hour in 1..5 {
            assert_eq!(late(&memory, &[(7, 110)], 3600 * hour), 110, "ten are too few");
        }
        assert_eq!(late(&memory, &[(7, 140)], 20_000), 40);
        assert_eq!(late(&memory, &[(7, 200)], 2), 60, "time went back");
    }

    #[test]
    fn who_comes_meanwhile_learns_nothing() {
        let memory = Memory::empty();
        memory.used_in.store(fork::epoch(), Relaxed);
        assert!(!memory.keep_late(&mut counts(&[]), SECOND));
        memory.used_in.store(fork::epoch() + 1, Relaxed);
        assert!(memory.keep_late(&mut counts(&[]), SECOND), "left behind by a fork");
    }

    #[test]
    fn counts_that_fell_are_none() {
        let memory = Memory::empty();
        late(&memory, &[(3, 100)], 1);
        late(&memory, &[(3, 200)], 20);
        assert_eq!(late(&memory, &[(3, 20), (4, 2)], 21), 2);
    }
}
