//! A lock that is tried and never waited for, and that a forked child takes over from its parent.

use crate::fork;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Guards plain data: after a fork in the middle of another thread's change, the child goes on with
/// whatever half of it was made. So `T` must have no state that is wrong (numbers, bytes, a single pointer), or one that
/// the holder mends when the lock was [inherited](Guard::inherited).
#[derive(Default)]
pub struct TryLock<T> {
    /// 0, or the fork epoch of the process that holds it.
    held_in: AtomicU64,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached only through a guard, and one guard exists at a time.
unsafe impl<T: Send> Sync for TryLock<T> {}

/// Who holds the lock.
pub struct Guard<'a, T> {
    lock: &'a TryLock<T>,
    inherited: bool,
}

impl<T> Guard<'_, T> {
    /// A thread of the parent held it at the fork, and may have changed half of what it meant to.
    pub fn inherited(&self) -> bool {
        self.inherited
    }
}

impl<T> TryLock<T> {
    /// Held by nobody.
    pub const fn new(data: T) -> Self {
        Self { held_in: AtomicU64::new(0), data: UnsafeCell::new(data) }
    }

    /// **Hot.** `None` when another thread of this process has it at the moment.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let here = fork::epoch();
        let seen = self.held_in.load(Relaxed);
        if seen == here {
            return None;
        }
        let taken = self.held_in.compare_exchange(seen, here, Acquire, Relaxed);
        taken.ok().map(|_| Guard { lock: self, inherited: seen != 0 })
    }

    /// Tries so often before giving up.
    pub fn try_times(&self, times: usize) -> Option<Guard<'_, T>> {
        (0..times).find_map(|_| {
            std::hint::spin_loop();
            self.try_lock()
        })
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard is the only one.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard is the only one.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.held_in.store(0, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let lock = TryLock::new(1);
        let mut first = lock.try_lock().expect("free");
        assert!(lock.try_times(3).is_none());
        *first += 1;
        drop(first);
        assert_eq!(lock.try_lock().map(|n| *n), Some(2));
    }

    #[test]
    fn a_lock_of_the_parent_is_taken_over() {
        let lock = TryLock::new(1);
        lock.held_in.store(fork::epoch() + 1, Relaxed);
        assert!(lock.try_lock().is_some_and(|guard| guard.inherited()));
        assert!(lock.try_lock().is_some_and(|guard| !guard.inherited()));
    }
}
