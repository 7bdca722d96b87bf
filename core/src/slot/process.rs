//! Process slots. Whether a process lives is told by a lock on a byte of the file that the kernel
//! releases with its last descriptor; a process id would be reused and differ between containers.

use crate::error::Result;
use crate::fork;
use crate::segment::cold_lock::{LOCK_BYTE, byte_is_locked, lock_byte};
use crate::segment::header::MAX_PROCESSES;
use crate::segment::{Segment, Shared};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// What a process writes of itself.
#[repr(C, align(64))]
pub struct ProcessSlot {
    /// The attached process's token, or 0.
    pub token: AtomicU64,
    /// Its process id, for people to read.
    pub pid: AtomicU32,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for ProcessSlot {}

/// This process's attachment to a segment.
pub struct Process {
    /// The fork epoch in which it was made: another one means that we are a child.
    pub epoch: u64,
    /// Never 0, and no other attachment's.
    pub token: u64,
    /// Its slot, or None when all were taken (then its threads share the common slot).
    pub slot: Option<usize>,
    /// A description of the file of its own, that carries its locks.
    pub file: OwnedFd,
}

impl Process {
    /// Takes a slot. To be called under the cold lock; `reap` is told of a slot whose process died.
    pub fn attach(segment: &Segment, file: OwnedFd, mut reap: impl FnMut(usize)) -> Result<Process> {
        let slot = (0..MAX_PROCESSES).find(|&i| lock_byte(file.as_raw_fd(), byte_of(i), libc::F_WRLCK));
        let token = u64::from(segment.header().last_generation.fetch_add(1, AcqRel)) + 1;
        if let Some(index) = slot {
            let cell = &slots(segment)[index];
            if cell.token.load(Acquire) != 0 {
                reap(index);
            }
            cell.pid.store(std::process::id(), Relaxed);
            cell.token.store(token, Release);
            segment.header().processes_used.fetch_max(index as u32 + 1, AcqRel);
        }
        Ok(Process { epoch: fork::epoch(), token, slot, file })
    }
}

/// Slots that say a process has them while no process does. To be called under the cold lock.
pub fn dead(segment: &Segment, me: &Process) -> Vec<usize> {
    let used = (segment.header().processes_used.load(Acquire) as usize).min(MAX_PROCESSES);
    let taken = |i: &usize| Some(*i) != me.slot && slots(segment)[*i].token.load(Acquire) != 0;
    (0..used).filter(taken).filter(|&i| !byte_is_locked(&me.file, byte_of(i))).collect()
}

/// Marks a slot free.
pub fn release(segment: &Segment, index: usize) {
    if let Some(cell) = slots(segment).get(index) {
        cell.token.store(0, Release);
    }
}

fn slots(segment: &Segment) -> &[ProcessSlot] {
    segment.many(segment.header().processes_at.load(Relaxed), MAX_PROCESSES).unwrap_or(&[])
}

fn byte_of(slot: usize) -> i64 {
    LOCK_BYTE + 1 + slot as i64
}
