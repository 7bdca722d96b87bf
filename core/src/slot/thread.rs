//! Thread slots: a thread takes one at its first call and gives it back when it ends. What it counted
//! stays in the slot's lane, and the next thread of the same process goes on from there.

use crate::segment::{Segment, Shared};
use crate::word::update;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One thread's place.
#[repr(C, align(64))]
pub struct ThreadSlot {
    /// Process slot + 1 (upper bits) | in use (lowest bit); 0 is free.
    state: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for ThreadSlot {}

/// The slot that threads share when there is none left: the last.
pub fn shared(segment: &Segment) -> usize {
    segment.header().max_threads.load(Relaxed) as usize
}

/// A slot for a thread of the process in `process`, lock-free.
pub fn take(segment: &Segment, process: Option<usize>) -> usize {
    let Some(process) = process else { return shared(segment) };
    let owner = (process as u64 + 1) << 1;
    let claim = |from: u64| (0..shared(segment)).find(|&i| claim(segment, i, from, owner | 1));
    match claim(owner).or_else(|| claim(0)) {
        Some(index) => {
            segment.header().threads_used.fetch_max(index as u32 + 1, AcqRel);
            index
        }
        None => shared(segment),
    }
}

/// Gives a slot back to its process.
pub fn give_back(segment: &Segment, index: usize, process: usize) {
    let owner = (process as u64 + 1) << 1;
    claim(segment, index, owner | 1, owner);
}

/// The slots of a process, in use or not.
pub fn of_process(segment: &Segment, process: usize) -> Vec<usize> {
    let owner = process as u64 + 1;
    (0..used(segment)).filter(|&i| state(segment, i) >> 1 == owner).collect()
}

/// Makes a dead process's slot anybody's.
pub fn release(segment: &Segment, index: usize) {
    if let Some(slot) = slots(segment).get(index) {
        slot.state.store(0, Release);
    }
}

/// How many slots were ever in use, the shared one aside.
pub fn used(segment: &Segment) -> usize {
    (segment.header().threads_used.load(Acquire) as usize).min(shared(segment))
}

fn state(segment: &Segment, index: usize) -> u64 {
    slots(segment).get(index).map_or(0, |slot| slot.state.load(Acquire))
}

fn claim(segment: &Segment, index: usize, from: u64, to: u64) -> bool {
    let Some(slot) = slots(segment).get(index) else { return false };
    update(&slot.state, |seen| if seen == from { Ok((to, ())) } else { Err(()) }).is_ok()
}

fn slots(segment: &Segment) -> &[ThreadSlot] {
    let header = segment.header();
    segment.many(header.threads_at.load(Relaxed), shared(segment) + 1).unwrap_or(&[])
}
