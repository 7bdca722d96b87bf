//! Notices a fork without a system call.
//!
//! A page that the kernel wipes in a forked child (`MADV_WIPEONFORK`, Linux 4.14) holds a number.
//! A child finds zero there and puts the next number, so that whatever remembers the old one
//! (a thread's slot, a lock's owner) is seen to be the parent's.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(null_mut());
static LAST: AtomicU64 = AtomicU64::new(0);

/// The number of this process among its forked ancestors: never 0, and another one in a child.
/// **Hot** after the first call.
#[inline]
pub fn epoch() -> u64 {
    let page = PAGE.load(Acquire);
    if !page.is_null() {
        // SAFETY: the page is mapped once and never unmapped.
        let number = unsafe { (*page).load(Acquire) };
        if number != 0 {
            return number;
        }
    }
    renew()
}

/// A memory of [`epoch`] that is compared faster than by asking for it again.
#[derive(Clone, Copy)]
pub struct Stamp {
    page: *const AtomicU64,
    epoch: u64,
}

/// Never holds an epoch.
static NOBODYS: AtomicU64 = AtomicU64::new(0);

impl Stamp {
    /// Of this process. On a kernel where only a system call can tell, it is out of date at once.
    pub fn now() -> Stamp {
        let epoch = epoch();
        let page = PAGE.load(Acquire);
        Stamp { page: if page.is_null() { &raw const NOBODYS } else { page }, epoch }
    }

    /// The number that it is a memory of.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether this is surely still the same process. **Hot.**
    #[inline(always)]
    pub fn holds(&self) -> bool {
        // SAFETY: a static, or the page, which is never unmapped.
        unsafe { (*self.page).load(Acquire) == self.epoch }
    }
}

#[cold]
fn renew() -> u64 {
    let page = match PAGE.load(Acquire) {
        page if page.is_null() => match map_page() {
            Some(page) => page,
            None => return without_page(),
        },
        page => page,
    };
    let next = LAST.load(Acquire) + 1;
    // SAFETY: the page is mapped and never unmapped.
    match unsafe { (*page).compare_exchange(0, next, AcqRel, Acquire) } {
        Ok(_) => {
            LAST.fetch_max(next, AcqRel);
            next
        }
        Err(other) => other,
    }
}

/// On a kernel without `MADV_WIPEONFORK` the process id tells, at the cost of a system call.
fn without_page() -> u64 {
    u64::from(std::process::id())
}

fn map_page() -> Option<*mut AtomicU64> {
    // SAFETY: a fresh anonymous mapping, checked for failure.
    let page = unsafe {
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(null_mut(), 4096, rw, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, 4096, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, 4096);
            return None;
        }
        page.cast::<AtomicU64>()
    };
    match PAGE.compare_exchange(null_mut(), page, AcqRel, Acquire) {
        Ok(_) => Some(page),
        Err(other) => {
            // SAFETY: ours, and nobody has seen it.
            unsafe { libc::munmap(page.cast(), 4096) };
            Some(other)
        }
    }
}
