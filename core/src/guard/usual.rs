//! How long calls usually take of late: a quantile of the durations that were recorded since a while ago.
//!
//! A guard's histogram only grows. So each process that asks remembers how it stood at two moments, at least [`TURN_NS`] and
//! [`LEAST`] durations apart, and looks at what has come since the earlier one: the last 15 to 30 seconds, or longer where calls
//! are rare. A process that has just come begins with all there is.

use super::cell::{LATENCY, RUN};
use super::handle::Guard;
use crate::metrics::histogram::Counts;
use crate::slot::lane::each_run;
use crate::trylock::TryLock;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// So many durations make a quantile.
const LEAST: u64 = 32;
const TURN_NS: u64 = 15_000_000_000;

/// What a handle remembers, once somebody has asked; never freed, as handles are not.
pub(super) struct Usual(AtomicPtr<TryLock<Memory>>);

/// How the histogram stood.
struct Memory {
    /// 0: never yet.
    turned_at: u64,
    earlier: Counts,
    later: Counts,
}

impl Usual {
    pub(super) const fn unknown() -> Usual {
        Usual(AtomicPtr::new(null_mut()))
    }

    fn memory(&self) -> &'static TryLock<Memory> {
        // SAFETY: null, or made below and never freed.
        if let Some(memory) = unsafe { self.0.load(Acquire).as_ref() } {
            return memory;
        }
        let new = Box::into_raw(Box::new(TryLock::new(Memory::empty())));
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
        Memory { turned_at: 0, earlier: Counts::new(), later: Counts::new() }
    }

    /// Leaves of the counts what has come of late.
    fn keep_late(&mut self, counts: &mut Counts, now: u64) {
        // Also where time went back.
        let is_due = self.turned_at == 0 || now.wrapping_sub(self.turned_at) >= TURN_NS;
        if is_due && counts.count_since(&self.later) >= LEAST {
            self.earlier.copy_from(&self.later);
            self.later.copy_from(counts);
            self.turned_at = now.max(1);
        }
        // A lane that was given back has taken its counts along.
        counts.take_off(&self.earlier);
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
        self.usual.memory().try_lock()?.keep_late(&mut counts, now);
        let seconds = counts.quantile(millionths as f64 / 1e6).filter(|_| counts.count() >= LEAST)?;
        Some(((seconds * 1e9) as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::histogram::BUCKETS;

    const SECOND: u64 = 1_000_000_000;

    fn counts(of: &[(usize, u64)]) -> Counts {
        let mut buckets = [0; BUCKETS];
        of.iter().for_each(|&(bucket, n)| buckets[bucket] = n);
        Counts::of(buckets)
    }

    /// How many of so many came of late.
    fn late(memory: &mut Memory, of: &[(usize, u64)], seconds: u64) -> u64 {
        let mut counts = counts(of);
        memory.keep_late(&mut counts, seconds * SECOND);
        counts.count()
    }

    #[test]
    fn what_came_long_ago_is_forgotten() {
        let mut memory = Memory::empty();
        assert_eq!(late(&mut memory, &[(3, 100)], 1), 100, "all there is");
        assert_eq!(late(&mut memory, &[(3, 150)], 15), 150, "a turn is not over");
        assert_eq!(late(&mut memory, &[(3, 200)], 16), 100, "since the first look");
        assert_eq!(late(&mut memory, &[(3, 200), (4, 40)], 30), 140);
        assert_eq!(late(&mut memory, &[(3, 200), (4, 41)], 31), 41, "since the second");
    }

    #[test]
    fn a_turn_waits_for_enough() {
        let mut memory = Memory::empty();
        late(&mut memory, &[(7, 100)], 1);
        for hour in 1..5 {
            assert_eq!(late(&mut memory, &[(7, 110)], 3600 * hour), 110, "ten are too few");
        }
        assert_eq!(late(&mut memory, &[(7, 140)], 20_000), 40);
        assert_eq!(late(&mut memory, &[(7, 200)], 2), 60, "time went back");
    }

    #[test]
    fn who_comes_meanwhile_learns_nothing() {
        let usual = Usual::unknown();
        let asking = usual.memory().try_lock();
        assert!(asking.is_some() && usual.memory().try_lock().is_none());
        drop(asking);
        assert!(usual.memory().try_lock().is_some());
    }

    #[test]
    fn counts_that_fell_are_none() {
        let mut memory = Memory::empty();
        late(&mut memory, &[(3, 100)], 1);
        late(&mut memory, &[(3, 200)], 20);
        assert_eq!(late(&mut memory, &[(3, 20), (4, 2)], 21), 2);
    }
}
