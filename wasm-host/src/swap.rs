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
use crate::uses::{Status, Uses};
use crate::{lock, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use tidegate_core::trylock::Guard;

/// The most retired generations that wait for their last call.
pub const RETIRED_MAX: usize = 8;

const WHAT: &str = "the policy";

impl Entry {
    /// The cold lock.
    pub fn cold(&self) -> Result<Guard<'_, Uses>, PolicyError> {
        lock::cold(&self.uses, WHAT).map(|cold| self.mended(cold))
    }

    /// The cold lock, unless another thread has it.
    fn try_cold(&self) -> Option<Guard<'_, Uses>> {
        self.uses.try_lock().map(|cold| self.mended(cold))
    }

    /// A fork may have come in the middle of a change. Then `current` says what serves, whatever else was done.
    fn mended<'a>(&self, mut cold: Guard<'a, Uses>) -> Guard<'a, Uses> {
        if cold.inherited() {
            self.mend(&mut cold);
        }
        cold
    }

    fn mend(&self, cold: &mut Uses) {
        let current = self.current.load(SeqCst);
        if let Some(at) = cold.find(Status::Serving).filter(|at| current == 0 || *at != place_of(current)) {
            cold.set(at, Status::Retired);
        }
        if current != 0 {
            cold.set(place_of(current), Status::Serving);
        }
    }

    /// Held by whoever prepares a place; so what is found prepared was left by a load that failed, or that was a
    /// parent's.
    fn loading(&self) -> Result<Guard<'_, ()>, PolicyError> {
        let loading = lock::loading(&self.loading, WHAT)?;
        self.reclaim(&mut *self.cold()?);
        Ok(loading)
    }

    fn reclaim(&self, cold: &mut Uses) {
        let serving = generation_of(self.current.load(SeqCst));
        while let Some(at) = cold.find(Status::Preparing) {
            let was_kept = cold.number(at) < serving;
            cold.set(at, if was_kept { Status::Kept } else { Status::Closing });
        }
    }

    /// Publishes a generation; gives its number. The one that served is kept.
    pub fn publish(&self, generation: Generation) -> Result<u64, PolicyError> {
        let _loading = self.loading()?;
        generation.prepare(&self.state);
        let (at, number) = self.furnish(Arc::new(generation))?;
        self.seat_known_threads(at);
        let mut cold = self.cold()?;
        self.serve(&mut cold, at, number);
        self.counts.swaps.fetch_add(1, Relaxed);
        self.collect_locked(&mut cold);
        Ok(number)
    }

    /// Lets the kept generation serve again; gives its number. The one that served is retired.
    pub fn roll_back(&self) -> Result<u64, PolicyError> {
        let _loading = self.loading()?;
        let mut cold = self.cold()?;
        self.collect_locked(&mut cold);
        let Some(at) = cold.kept() else {
            return Err(PolicyError::NothingToRollBackTo { name: self.name.clone() });
        };
        let place = &self.places[at];
        let closed = place.open.load(SeqCst) == 0;
        if closed && thread::anyone_in(place.address()) {
            return Err(PolicyError::Busy { what: "the earlier generation" });
        }
        cold.set(at, Status::Preparing);
        let number = cold.number(at);
        drop(cold);
        if closed {
            self.seat_known_threads(at);
        }
        let mut cold = self.cold()?;
        self.retire(&mut cold, Status::Serving);
        self.serve(&mut cold, at, number);
        self.counts.rollbacks.fetch_add(1, Relaxed);
        self.collect_locked(&mut cold);
        Ok(number)
    }

    /// Takes every generation out of service.
    pub fn unload(&self) -> Result<(), PolicyError> {
        let _loading = self.loading()?;
        let mut cold = self.cold()?;
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
        let Some(mut cold) = self.try_cold() else {
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
                let number = cold.number(at);
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
        if let Some(mut cold) = self.try_cold() {
            self.collect_locked(&mut cold);
        }
    }

    /// Frees the instances of a slot that no thread has.
    pub fn clear_slot(&self, slot: usize) {
        let Some(cold) = self.try_cold() else {
            return;
        };
        for (at, place) in self.places.iter().enumerate() {
            if cold.status(at) == Status::Preparing {
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
        let mut cold = self.cold()?;
        self.collect_locked(&mut cold);
        let at = cold.find(Status::Free).ok_or(PolicyError::Busy { what: "every place" })?;
        // SAFETY: a free place is not open, and nobody is in it (see `close`); we hold the lock.
        unsafe { self.places[at].furnish(Some(generation)) };
        Ok((at, cold.prepare(at)))
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

    /// What served is kept, then one pointer store. (In this order, so that a fork in between loses no more than the
    /// generation kept before.)
    fn serve(&self, cold: &mut Uses, at: usize, number: u64) {
        self.places[at].open.store(number, SeqCst);
        if let Some(served) = cold.find(Status::Serving) {
            if self.places[served].quarantined.load(Relaxed) {
                cold.set(served, Status::Retired);
            } else {
                self.retire(cold, Status::Kept);
                cold.set(served, Status::Kept);
            }
        }
        let old = self.current.swap(pack(number, at), SeqCst);
        debug_assert!(old == 0 || cold.number(place_of(old)) == generation_of(old));
        cold.set(at, Status::Serving);
    }

    fn retire(&self, cold: &mut Uses, status: Status) {
        if let Some(at) = cold.find(status) {
            cold.set(at, Status::Retired);
        }
    }

    fn collect_locked(&self, cold: &mut Uses) {
        while cold.count(Status::Retired) > RETIRED_MAX {
            let Some(at) = cold.oldest_retired() else { break };
            self.places[at].open.store(0, SeqCst);
            cold.set(at, Status::Closing);
            self.counts.abandoned.fetch_add(1, Relaxed);
        }
        for at in 0..PLACES {
            let closed = match cold.status(at) {
                Status::Kept | Status::Retired => self.ended(at) && self.close(at),
                Status::Closing => self.close(at),
                _ => false,
            };
            if closed && cold.status(at) != Status::Kept {
                // SAFETY: closed, and we hold the lock.
                unsafe { self.places[at].furnish(None) };
                cold.free(at);
            }
        }
    }

    /// Whether the last call of a generation that does not serve has ended. (In a place that is shut already, calls are
    /// no longer counted, or half forgotten.)
    fn ended(&self, at: usize) -> bool {
        let place = &self.places[at];
        let shut = place.open.load(SeqCst) == 0;
        shut || !thread::anyone_in(place.address()) && place.inflight() == 0
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
