//! A value that a forked child makes anew, instead of using what it inherited half-way changed.

use crate::fork;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// One value a process. A parent's value stays allocated in the child, where nothing refers to it any more but threads
/// that do not exist.
pub struct PerProcess<T> {
    now: AtomicPtr<(u64, T)>,
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        PerProcess::new()
    }
}

impl<T> PerProcess<T> {
    pub const fn new() -> Self {
        PerProcess { now: AtomicPtr::new(null_mut()) }
    }

    /// This process's value, if it was made.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: values are never freed while self lives.
        let found = unsafe { self.now.load(Acquire).as_ref() }?;
        (found.0 == fork::epoch()).then_some(&found.1)
    }

    /// The value that a forked child found and must not use.
    pub fn inherited(&self) -> Option<&T> {
        // SAFETY: values are never freed while self lives.
        let found = unsafe { self.now.load(Acquire).as_ref() }?;
        (found.0 != fork::epoch()).then_some(&found.1)
    }

    /// Puts a value for this process; another thread's, if it was faster.
    pub fn put(&self, value: T) -> &T {
        let before = self.now.load(Acquire);
        if let Some(found) = self.get() {
            return found;
        }
        let made = Box::into_raw(Box::new((fork::epoch(), value)));
        match self.now.compare_exchange(before, made, AcqRel, Acquire) {
            // SAFETY: just made, and never freed while self lives.
            Ok(_) => unsafe { &(*made).1 },
            Err(other) => {
                // SAFETY: nobody has seen `made`; `other` is a value of this process.
                unsafe {
                    drop(Box::from_raw(made));
                    &(*other).1
                }
            }
        }
    }
}
