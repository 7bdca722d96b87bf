//! Counts the bytes that peers allocate, while it is told to; otherwise it costs them one look at a flag.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static IS_ON: AtomicBool = AtomicBool::new(false);
/// Bytes allocated and not freed since, modulo 2⁶⁴.
static LIVE: AtomicU64 = AtomicU64::new(0);

/// What `make` makes, and how many bytes it has allocated for it and not freed again.
pub fn bytes_of<T>(make: impl FnOnce() -> T) -> (T, u64) {
    let before = LIVE.load(Relaxed);
    IS_ON.store(true, Relaxed);
    let made = make();
    IS_ON.store(false, Relaxed);
    (made, LIVE.load(Relaxed).wrapping_sub(before))
}

#[inline]
fn count(freed: usize, allocated: usize) {
    if IS_ON.load(Relaxed) {
        LIVE.fetch_add((allocated as u64).wrapping_sub(freed as u64), Relaxed);
    }
}

// SAFETY: each call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: as our caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: as our caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), size);
        // SAFETY: as our caller promises.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: as our caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}
