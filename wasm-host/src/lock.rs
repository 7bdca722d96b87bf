//! Locks of cold paths: waited for, but not for ever; and a forked child takes over what another thread of its parent
//! held, as that thread is not there to give it back.

use crate::error::PolicyError;
use std::sync::Arc;
use std::sync::atomic::{Ordering::Release, compiler_fence};
use std::time::{Duration, Instant};
use tidegate_core::trylock::{Guard, TryLock};

/// As long as the runtime's own cold calls wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// Guests run while it is held: start, arena and init, for each thread that has an instance.
const PATIENCE_FOR_A_LOAD: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_micros(100);

/// Takes a lock that only cold paths take. After two seconds it is an error instead of a hang.
pub(crate) fn cold<'a, T>(lock: &'a TryLock<T>, what: &'static str) -> Result<Guard<'a, T>, PolicyError> {
    within(PATIENCE, lock, what)
}

/// Takes a lock that is held for as long as a load takes; after ten seconds it is an error.
pub(crate) fn loading<'a>(lock: &'a TryLock<()>, what: &'static str) -> Result<Guard<'a, ()>, PolicyError> {
    within(PATIENCE_FOR_A_LOAD, lock, what)
}

/// By looking again and again: whatever queues waiters would have a state of its own that a fork may tear.
fn within<'a, T>(patience: Duration, lock: &'a TryLock<T>, what: &'static str) -> Result<Guard<'a, T>, PolicyError> {
    if let Some(guard) = lock.try_times(64) {
        return Ok(guard);
    }
    let start = Instant::now();
    while start.elapsed() < patience {
        std::thread::sleep(STEP);
        if let Some(guard) = lock.try_lock() {
            return Ok(guard);
        }
    }
    Err(PolicyError::Busy { what })
}

/// A value that a forked child finds whole: it is changed on a copy, which takes its place by one store of a pointer.
pub(crate) struct Table<T> {
    now: TryLock<Option<Arc<T>>>,
    what: &'static str,
}

impl<T: Clone + Default> Table<T> {
    /// An empty one; `what` names it in errors.
    pub const fn new(what: &'static str) -> Self {
        Table { now: TryLock::new(None), what }
    }

    /// The value as it is now.
    pub fn get(&self) -> Result<Arc<T>, PolicyError> {
        Ok(cold(&self.now, self.what)?.clone().unwrap_or_default())
    }

    /// The value, or none when another thread has it at the moment.
    pub fn get_now(&self) -> Option<Arc<T>> {
        Some(self.now.try_lock()?.clone().unwrap_or_default())
    }

    /// What a thread holds that reads or changes the value.
    #[cfg(test)]
    pub fn held(&self) -> Option<impl Drop + '_> {
        cold(&self.now, self.what).ok()
    }

    /// Changes the value, seen by nobody until `change` is done.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, PolicyError> {
        let mut now = cold(&self.now, self.what)?;
        let mut copy = now.as_deref().cloned().unwrap_or_default();
        let result = change(&mut copy);
        let new = Arc::new(copy);
        // A fork sees what this thread wrote in the order of its instructions: the value, then where it is.
        compiler_fence(Release);
        let old = now.replace(new);
        drop(now);
        drop(old);
        Ok(result)
    }
}

/// Where `name` is in a table of at most `max` names, put at its end when it is new; `None` when there is no room.
pub(crate) fn position_or_push(
    names: &Table<Vec<Arc<str>>>,
    name: &str,
    max: usize,
) -> Result<Option<usize>, PolicyError> {
    let position = |names: &[Arc<str>]| names.iter().position(|known| **known == *name);
    let seen = names.get()?;
    if let Some(at) = position(&seen) {
        return Ok(Some(at));
    }
    if seen.len() >= max {
        return Ok(None);
    }
    names.change(|names| {
        let known = position(names);
        if known.is_none() && names.len() < max {
            names.push(name.into());
            return Some(names.len() - 1);
        }
        known
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_changed_whole() {
        static TABLE: Table<Vec<u32>> = Table::new("a table");
        let before = TABLE.get().expect("free");
        assert_eq!(TABLE.change(|list| list.push(7)), Ok(()));
        assert_eq!((before.len(), TABLE.get().expect("free").as_slice()), (0, &[7][..]));
    }

    #[test]
    fn a_held_table_is_not_waited_for_by_those_who_only_try() {
        let table: Table<Vec<u32>> = Table::new("a table");
        let held = table.now.try_lock();
        assert!(table.get_now().is_none());
        drop(held);
        assert!(table.get_now().is_some());
    }

    #[test]
    fn who_waits_gets_it() {
        let lock = TryLock::new(0);
        let held = lock.try_lock();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| cold(&lock, "the lock").is_ok());
            drop(held);
            assert!(waiter.join().expect("no panic"));
        });
    }
}
