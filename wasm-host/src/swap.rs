//! Which generation serves, which is kept, and when old ones are freed.
//!
//! ```text
//! free → preparing → serving → kept → retired → free
//!                       └── (failed too often, rolled back, unloaded) ──↗
//! ```
//! A kept generation has only its code, for a rollback; its instances go when its last call ends.
//! A retired one goes whole when its last call ends, or when more than eight are retired.

use crate::entry::{Entry, PLACES, generation_of, pack, place_of};
use crate::error::PolicyError;
use crate::generation::Generation;
use crate::instance::Instance;
use crate::{lock, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// The most retired generations that wait for their last call.
pub const RETIRED_MAX: usize = 8;

const WHAT: &str = "the policy";

/// What a place is used for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Status {
    #[default]
    Free,
    Preparing,
    Serving,
    Kept,
    /// Still enterable for the calls that it decided.
    Retired,
    /// Not enterable; freed as soon as nobody is in it.
    Closing,
}

/// What is behind a policy's cold lock.
#[derive(Default)]
pub(crate) struct Cold {
    /// The last generation's number.
    last: u64,
    /// Of each place, its use and the generation in it.
    uses: [(Status, u64); PLACES],
}

impl Cold {
    fn find(&self, status: Status) -> Option<usize> {
        self.uses.iter().position(|(used, _)| *used == status)
    }

    /// How many places are used so.
    pub fn count(&self, status: Status) -> usize {
        self.uses.iter().filter(|(used, _)| *used == status).count()
    }

    /// The place of the generation to go back to.
    pub fn kept(&self) -> Option<usize> {
        self.find(Status::Kept)
    }

    fn oldest_retired(&self) -> Option<usize> {
        let retired = self.uses.iter().enumerate().filter(|(_, used)| used.0 == Status::Retired);
        retired.min_by_key(|(_, used)| used.1).map(|(at, _)| at)
    }
}

impl Entry {
    /// Publishes a generation; gives its number. The one that served is kept.
    pub fn publish(&self, generation: Generation) -> Result<u64, PolicyError> {
        let _loading = lock::cold(&self.loading, WHAT)?;
        generation.prepare(&self.state);
        let (at, number) = self.furnish(Arc::new(generation))?;
        self.seat_known_threads(at);
        let mut cold = lock::cold(&self.cold, WHAT)?;
        self.serve(&mut cold, at, number);
        self.counts.swaps.fetch_add(1, Relaxed);
        self.collect_locked(&mut cold);
        Ok(number)
    }

    /// Lets the kept generation serve again; gives its number. The one that served is retired.
    pub fn roll_back(&self) -> Result<u64, PolicyError> {
        let _loading = lock::cold(&self.loading, WHAT)?;
        let mut cold = lock::cold(&self.cold, WHAT)?;
        self.collect_locked(&mut cold);
        let Some(at) = cold.kept() else {
            return Err(PolicyError::NothingToRollBackTo { name: self.name.clone() });
        };
        let place = &self.places[at];
        let closed = place.open.load(SeqCst) == 0;
        if closed && thread::anyone_in(place.address()) {
            return Err(PolicyError::Busy { what: "the earlier generation" });
        }
        cold.uses[at].0 = Status::Preparing;
        let number = cold.uses[at].1;
        drop(cold);
        if closed {
            self.seat_known_threads(at);
        }
        let mut cold = lock::cold(&self.cold, WHAT)?;
        self.retire(&mut cold, Status::Serving);
        self.serve(&mut cold, at, number);
        self.counts.rollbacks.fetch_add(1, Relaxed);
        self.collect_locked(&mut cold);
        Ok(number)
    }

    /// Takes every generation out of service.
    pub fn unload(&self) -> Result<(), PolicyError> {
        let _loading = lock::cold(&self.loading, WHAT)?;
        let mut cold = lock::cold(&self.cold, WHAT)?;
        self.current.store(0, SeqCst);
        self.retire(&mut cold, Status::Serving);
        self.retire(&mut cold, Status::Kept);
        self.collect_locked(&mut cold);
        Ok(())
    }

    /// Puts the generation in `word`, which failed too often, out of service, and the kept one (or
    /// none) in its place. True when something else serves now; false also when the lock was taken.
    #[cold]
    pub fn step_back(&self, word: u64) -> bool {
        let Some(mut cold) = self.cold.try_lock() else {
            return false;
        };
        if self.current.load(SeqCst) != word {
            return true;
        }
        self.counts.quarantines.fetch_add(1, Relaxed);
        self.retire(&mut cold, Status::Serving);
        let kept = cold.kept();
        match kept {
            Some(at) => {
                let number = cold.uses[at].1;
                self.serve(&mut cold, at, number);
                self.counts.rollbacks.fetch_add(1, Relaxed);
            }
            None => self.current.store(0, SeqCst),
        }
        crate::ticker::collect_soon();
        kept.is_some()
    }

    /// Frees what nobody needs any more, unless someone else is at it.
    pub fn collect(&self) {
        if let Some(mut cold) = self.cold.try_lock() {
            self.collect_locked(&mut cold);
        }
    }

    /// Frees the instances of a slot that no thread has.
    pub fn clear_slot(&self, slot: usize) {
        let Some(cold) = self.cold.try_lock() else {
            return;
        };
        for (place, used) in self.places.iter().zip(&cold.uses) {
            if used.0 == Status::Preparing {
                continue;
            }
            if let Some(seat) = place.seat_if_made(slot).filter(|s| s.filled.load(Acquire)) {
                // SAFETY: the caller has the slot; a place that is prepared is left alone, and who
                // frees a whole place has the lock that we have.
                unsafe { seat.put(None) };
            }
        }
    }

    fn furnish(&self, generation: Arc<Generation>) -> Result<(usize, u64), PolicyError> {
        let mut cold = lock::cold(&self.cold, WHAT)?;
        self.collect_locked(&mut cold);
        let at = cold.find(Status::Free).ok_or(PolicyError::Busy { what: "every place" })?;
        // SAFETY: a free place is not open, and nobody is in it (see `close`); we hold the lock.
        unsafe { self.places[at].furnish(Some(generation)) };
        cold.last += 1;
        cold.uses[at] = (Status::Preparing, cold.last);
        Ok((at, cold.last))
    }

    /// Makes instances for the threads that have one of the generation that serves, so that none of
    /// them has to at its next call.
    fn seat_known_threads(&self, at: usize) {
        let serving = &self.places[place_of(self.current.load(Acquire))];
        let place = &self.places[at];
        // SAFETY: being prepared, the place is ours.
        let Some(generation) = (unsafe { place.generation() }) else {
            return;
        };
        let Ok(_pin) = thread::Pin::cold() else {
            return;
        };
        let seated = |slot: &usize| serving.seat_if_made(*slot).is_some_and(|seat| seat.filled.load(Acquire));
        for slot in thread::taken().into_iter().filter(seated) {
            let Ok(instance) = Instance::new(generation, Arc::clone(&self.state)) else {
                return; // The thread will try by itself, and count the failure.
            };
            // SAFETY: the place is ours: not open, and skipped by those who free.
            unsafe { place.seat(slot).put(Some(Box::new(instance))) };
        }
    }

    /// One pointer store, and what served is kept.
    fn serve(&self, cold: &mut Cold, at: usize, number: u64) {
        self.places[at].open.store(number, SeqCst);
        let old = self.current.swap(pack(number, at), SeqCst);
        if let Some(served) = cold.find(Status::Serving) {
            if self.places[served].quarantined.load(Relaxed) {
                cold.uses[served].0 = Status::Retired;
            } else {
                self.retire(cold, Status::Kept);
                cold.uses[served].0 = Status::Kept;
            }
        }
        debug_assert!(old == 0 || cold.uses[place_of(old)].1 == generation_of(old));
        cold.uses[at].0 = Status::Serving;
    }

    fn retire(&self, cold: &mut Cold, status: Status) {
        if let Some(at) = cold.find(status) {
            cold.uses[at].0 = Status::Retired;
        }
    }

    fn collect_locked(&self, cold: &mut Cold) {
        while cold.count(Status::Retired) > RETIRED_MAX {
            let Some(at) = cold.oldest_retired() else { break };
            self.places[at].open.store(0, SeqCst);
            cold.uses[at].0 = Status::Closing;
            self.counts.abandoned.fetch_add(1, Relaxed);
        }
        for at in 0..PLACES {
            let closed = match cold.uses[at].0 {
                Status::Kept | Status::Retired => self.ended(at) && self.close(at),
                Status::Closing => self.close(at),
                _ => false,
            };
            if closed && cold.uses[at].0 != Status::Kept {
                // SAFETY: closed, and we hold the lock.
                unsafe { self.places[at].furnish(None) };
                cold.uses[at] = (Status::Free, 0);
            }
        }
    }

    /// Whether the last call of a generation that does not serve has ended.
    fn ended(&self, at: usize) -> bool {
        let place = &self.places[at];
        !thread::anyone_in(place.address()) && place.inflight() == 0
    }

    /// Frees a place's instances, when nobody is in it.
    fn close(&self, at: usize) -> bool {
        let place = &self.places[at];
        place.open.store(0, SeqCst);
        if thread::anyone_in(place.address()) {
            return false;
        }
        place.forget_inflight();
        for (_, seat) in place.seats().filter(|(_, seat)| seat.filled.load(Acquire)) {
            // SAFETY: the place is closed and nobody is in it; we hold the lock.
            unsafe { seat.put(None) };
        }
        true
    }
}

/// A counter's value.
pub(crate) fn read(count: &AtomicU64) -> u64 {
    count.load(Relaxed)
}
