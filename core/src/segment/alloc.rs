//! The arena: blocks of 64 · 2ᵏ bytes, from a bump mark and a free list a size.
//!
//! Lock-free, as a thread's first touch of a histogram page comes here from the hot path. A free list
//! is a Treiber stack whose head carries a count, so that a block that went and came back is not
//! mistaken for one that stayed.

use super::{Offset, Segment, Shared, UNIT, View};
use crate::word::{Word, update};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Sizes of blocks: 64 bytes to 512 MiB.
pub const CLASSES: usize = 24;

/// The arena's words in the header.
#[repr(C, align(64))]
pub struct Arena {
    /// First unit that was never handed out.
    pub next_unit: AtomicU64,
    /// One past the last unit.
    end_unit: AtomicU64,
    /// A stack of free blocks a size: count (32 bits) | offset of the first (32 bits).
    free: [AtomicU64; CLASSES],
}

impl Arena {
    /// An empty arena of the units from `first` to before `end`.
    pub fn initialise(&self, first: Offset, end: Offset) {
        self.next_unit.store(first.into(), Relaxed);
        self.end_unit.store(end.into(), Relaxed);
    }
}

/// The words of a block, of which a free one uses the first as the link to the next.
#[repr(transparent)]
struct Words([AtomicU64; UNIT / 8]);

// SAFETY: repr(C)-like array of atomics.
unsafe impl Shared for Words {}

/// The size class that holds `bytes`, or None above the largest.
pub fn class_of(bytes: usize) -> Option<usize> {
    let units = bytes.div_ceil(UNIT).max(1).next_power_of_two();
    let class = units.trailing_zeros() as usize;
    (class < CLASSES).then_some(class)
}

impl View {
    /// A zeroed block of at least `bytes`, or None when there is no room.
    pub fn alloc(&self, bytes: usize) -> Option<Offset> {
        let class = class_of(bytes)?;
        let Some(block) = self.pop_free(class) else { return self.bump(class) };
        for line in 0..1 << class {
            self.at::<Words>(block + line)?.0.iter().for_each(|word| word.store(0, Relaxed));
        }
        Some(block)
    }

    /// Gives back a block that [`View::alloc`] made for as many bytes.
    pub fn free(&self, block: Offset, bytes: usize) {
        let (Some(class), Some(words)) = (class_of(bytes), self.at::<Words>(block)) else { return };
        let head = &self.header().alloc.free[class];
        let pushed: Result<(), ()> = update(head, |seen| {
            words.0[0].store(seen & 0xFFFF_FFFF, Relaxed);
            Ok((next_count(seen) | u64::from(block), ()))
        });
        debug_assert!(pushed.is_ok());
    }

    fn pop_free(&self, class: usize) -> Option<Offset> {
        update(&self.header().alloc.free[class], |seen| {
            let block = seen as Offset;
            let words = self.at::<Words>(block).ok_or(())?;
            let next = words.0[0].load(Relaxed) & 0xFFFF_FFFF;
            Ok::<_, ()>((next_count(seen) | next, block))
        })
        .ok()
    }

    /// Memory that nobody had before is zero; it is not touched, so that a large table takes pages only where it is used.
    fn bump(&self, class: usize) -> Option<Offset> {
        let arena = &self.header().alloc;
        let end = arena.end_unit.get();
        let step = |seen: u64| {
            let after = seen + (1 << class);
            if after <= end { Ok((after, seen as Offset)) } else { Err(()) }
        };
        update(&arena.next_unit, step).ok()
    }
}

impl Segment {
    /// See [`View::alloc`].
    pub fn alloc(&self, bytes: usize) -> Option<Offset> {
        self.view().alloc(bytes)
    }

    /// See [`View::free`].
    pub fn free(&self, block: Offset, bytes: usize) {
        self.view().free(block, bytes);
    }
}

fn next_count(head: u64) -> u64 {
    (head >> 32).wrapping_add(1) << 32
}
