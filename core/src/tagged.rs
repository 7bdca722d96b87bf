//! Numbers that are replaced while others read them: they stand under a tag, which is 0 while they are written and never the
//! same again. Who reads them takes what was found for whole when the tag was the same before and after. Writers exclude each other;
//! one that dies in between leaves the tag at 0.
//!
//! Source: the sequence lock, with the fences that relaxed reads need (H. Boehm, "Can Seqlocks Get Along With Programming Language
//! Memory Models?", MSPC 2012).

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// An atomic that can be a tag, in a segment or in loom's model of it.
pub trait Tag {
    /// Reads.
    fn load(&self, order: Ordering) -> u64;
    /// Writes.
    fn store(&self, value: u64, order: Ordering);
    /// The fence that belongs to it.
    fn fence(order: Ordering);
}

impl Tag for AtomicU64 {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u64 {
        AtomicU64::load(self, order)
    }

    #[inline(always)]
    fn store(&self, value: u64, order: Ordering) {
        AtomicU64::store(self, value, order);
    }

    #[inline(always)]
    fn fence(order: Ordering) {
        fence(order);
    }
}

/// What `read` finds under a tag that is `wanted`, if it stood there all the while. It reads with relaxed ordering.
#[inline(always)]
pub fn read<W: Tag, T>(tag: &W, wanted: impl FnOnce(u64) -> bool, read: impl FnOnce() -> Option<T>) -> Option<T> {
    let seen = tag.load(Ordering::Acquire);
    if seen == 0 || !wanted(seen) {
        return None;
    }
    let found = read();
    // Nothing of the above may be read after the tag is looked at again.
    W::fence(Ordering::Acquire);
    found.filter(|_| tag.load(Ordering::Relaxed) == seen)
}

/// Puts what `write` stores, with relaxed ordering, under the tag `next`.
pub fn write<W: Tag>(tag: &W, next: u64, write: impl FnOnce()) {
    tag.store(0, Ordering::Relaxed);
    // Whoever reads anything of what follows also finds the tag gone.
    W::fence(Ordering::Release);
    write();
    tag.store(next, Ordering::Release);
}
