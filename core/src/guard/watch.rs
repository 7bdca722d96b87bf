//! Who wants to hear of a breaker's changes, in this process. A forked child begins with nobody.

use super::handle::Guard;
use crate::breaker::state::Change;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{PerProcess, keeping_places};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::time::Duration;

/// The most watchers of one guard.
const MAX_WATCHERS: usize = 64;

/// Hears of the changes that calls of this process make to a breaker; those that other processes make show in the metrics.
pub trait Watcher: Send + Sync {
    /// On the thread whose call changed it, after the change, without any lock held. It may call the library. Changes that
    /// threads make at the same time may be told in another order than they were made in: the generation says which came first.
    fn changed(&self, guard: &'static Guard, change: Change);
}

/// The watchers of one guard.
#[derive(Default)]
pub(super) struct Watchers {
    last_id: AtomicU64,
    all: PerProcess<Mutex<Vec<Watch>>>,
}

struct Watch {
    id: u64,
    watcher: Arc<dyn Watcher>,
}

impl Watchers {
    fn locked<T>(&self, then: impl FnOnce(&mut Vec<Watch>) -> T) -> Result<T> {
        let all = self.all.get().unwrap_or_else(|| self.all.put(Mutex::default()));
        let busy = || Error::new(ErrorKind::Busy, "the list of watchers is in use");
        all.try_lock_for(Duration::from_secs(2)).map(|mut all| then(&mut all)).ok_or_else(busy)
    }

    /// Takes all out, for the caller to drop without a lock held.
    fn take_all(&self) -> Vec<Watch> {
        let all = self.all.get().and_then(|all| all.try_lock_for(Duration::from_secs(2)));
        all.map_or_else(Vec::new, |mut all| std::mem::take(&mut *all))
    }

    fn everyone(&self) -> Vec<Arc<dyn Watcher>> {
        let all = self.all.get().and_then(|all| all.try_lock_for(Duration::from_secs(2)));
        all.map_or_else(Vec::new, |all| all.iter().map(|watch| watch.watcher.clone()).collect())
    }
}

impl Guard {
    /// Calls the watcher at every change that a call of this process makes to the breaker, until [`Guard::unwatch`]; the
    /// number names it there. It also ends when the guard is retired or the runtime closed by this process. **Cold.**
    ///
    /// # Errors
    /// The guard is gone, or has 64 watchers.
    pub fn watch(&'static self, watcher: Arc<dyn Watcher>) -> Result<u64> {
        let id = self.watchers.last_id.fetch_add(1, Relaxed) + 1;
        self.watchers.locked(|all| {
            // Under the lock: who ends the guard takes all watchers out after its mark has gone.
            self.alive()?;
            if all.len() >= MAX_WATCHERS {
                return Err(Error::new(ErrorKind::Full, format!("a guard has at most {MAX_WATCHERS} watchers")));
            }
            all.push(Watch { id, watcher });
            Ok(id)
        })?
    }

    /// Ends a watch; calls that have begun go on, and the watcher is dropped after the last of them. Also from within
    /// the call. **Cold.**
    ///
    /// # Errors
    /// There is no such watch.
    pub fn unwatch(&self, id: u64) -> Result<()> {
        let gone = self.watchers.locked(|all| {
            let at = all.iter().position(|watch| watch.id == id)?;
            Some(all.swap_remove(at))
        })?;
        // The watcher is dropped here, not under the lock.
        gone.map(drop).ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no watch {id} of this guard")))
    }

    /// Ends all watches of a guard that has ended.
    pub(crate) fn end_watches(&self) {
        drop(self.watchers.take_all());
    }

    /// Counts a change of the breaker, if there was one, and tells it.
    #[inline]
    pub(super) fn note(&'static self, change: Option<Change>) {
        if let Some(change) = change {
            self.disregard_running(&change);
            self.tell(change);
        }
    }

    #[cold]
    fn tell(&'static self, change: Change) {
        self.cell().transitions[change.to as usize].fetch_add(1, Relaxed);
        let watchers = self.watchers.everyone();
        if watchers.is_empty() {
            return;
        }
        keeping_places(|| watchers.iter().for_each(|watcher| watcher.changed(self, change)));
        // Dropped here, maybe as the last: what they free may call the library too.
        keeping_places(|| drop(watchers));
        // They may have called so many guards that the thread remembers another in this one's place, where our caller looks.
        if self.is_alive() {
            self.look_up(|_, _| ());
        }
    }
}
