//! A loaded policy as guards call it.

use crate::error::{Cause, PolicyError};
use crate::instance::{Failure, Instance};
use crate::place::{Place, Seat};
use crate::state::PolicyState;
use crate::thread::{Pin, Slot};
use crate::ticker;
use crate::uses::Uses;
use crossbeam_utils::CachePadded;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use tidegate_core::policy::{Attribute, Policy, Record, Verdict};
use tidegate_core::trylock::TryLock;

const PLACE_BITS: u32 = 4;
/// Places of a policy: one serves, one is kept to roll back to, eight may be retired, one is being
/// prepared; the rest are closing.
pub(crate) const PLACES: usize = 1 << PLACE_BITS;

/// A token for `observe` is the generation and, above these bits, the entry's number, so that a policy
/// unloaded and loaded anew is not told of the old one's calls.
const GENERATION_BITS: u32 = 40;

static LAST_ENTRY: AtomicU64 = AtomicU64::new(0);

/// A policy under its name, from its first load until it is unloaded.
pub(crate) struct Entry {
    pub name: String,
    /// Tells apart the entries of this process.
    serial: u64,
    pub state: Arc<PolicyState>,
    /// Which generation serves (upper bits) and in which place; 0: none.
    pub current: CachePadded<AtomicU64>,
    pub places: [Place; PLACES],
    /// Taken for moments by whoever changes what serves; a hot path only ever tries it. To be taken by
    /// [`Entry::cold`] and [`Entry::try_cold`].
    pub uses: TryLock<Uses>,
    /// Taken for as long as one load or rollback takes; never by a hot path.
    pub loading: TryLock<()>,
    pub counts: Counts,
}

/// What is counted rarely enough to be counted in one place.
#[derive(Default)]
pub(crate) struct Counts {
    pub failures: [AtomicU64; Cause::ALL.len()],
    pub swaps: AtomicU64,
    pub rollbacks: AtomicU64,
    pub quarantines: AtomicU64,
    pub late_observes: AtomicU64,
    pub abandoned: AtomicU64,
}

/// What `current` holds for a generation in a place.
pub(crate) fn pack(generation: u64, place: usize) -> u64 {
    generation << PLACE_BITS | place as u64
}

/// The generation in `current`.
#[inline]
pub(crate) fn generation_of(word: u64) -> u64 {
    word >> PLACE_BITS
}

/// The place in `current`.
#[inline]
pub(crate) fn place_of(word: u64) -> usize {
    word as usize % PLACES
}

impl Entry {
    pub fn new(name: &str, state: PolicyState) -> Self {
        Self {
            name: name.into(),
            serial: LAST_ENTRY.fetch_add(1, Relaxed) + 1,
            state: Arc::new(state),
            current: CachePadded::default(),
            places: Default::default(),
            uses: TryLock::default(),
            loading: TryLock::default(),
            counts: Counts::default(),
        }
    }

    #[inline]
    fn token(&self, generation: u64) -> u64 {
        self.serial << GENERATION_BITS | generation
    }

    /// The generation in a token of this entry.
    fn generation_in(&self, token: u64) -> Option<u64> {
        let generation = token & ((1 << GENERATION_BITS) - 1);
        (token == self.token(generation)).then_some(generation)
    }

    #[cold]
    fn no_instance(&self) -> (Option<Verdict>, u64) {
        self.counts.failures[Cause::NoInstance.index()].fetch_add(1, Relaxed);
        (None, 0)
    }

    /// Pins the slot to the place that serves. `None`: there is none, or this thread is in a guest.
    #[inline]
    fn enter(&self, slot: Slot) -> Option<(Pin, u64)> {
        loop {
            let word = self.current.load(Acquire);
            if word == 0 {
                return None;
            }
            let place = &self.places[place_of(word)];
            let pin = slot.pin(place.address())?;
            if self.current.load(SeqCst) != word {
                // Swapped in between: the pin may have kept the collector from its work.
                drop(pin);
                ticker::collect_soon();
            } else if !place.quarantined.load(Relaxed) {
                return Some((pin, word));
            } else {
                drop(pin);
                self.step_back(word).then_some(())?;
            }
        }
    }

    /// Makes the instance of the calling thread, whose slot it is. False when that failed, and was counted.
    pub fn prepare(&self, slot: Slot) -> bool {
        let Some((_pin, word)) = self.enter(slot) else {
            return false;
        };
        let place = &self.places[place_of(word)];
        // SAFETY: this thread has the slot, is pinned to the place and saw it open.
        unsafe { self.seated(place, place.seat(slot.index()), 0) }.is_some()
    }

    /// Asks the instance of this thread. The caller is pinned to `place` and saw it serving.
    #[inline]
    fn decide_in(
        &self,
        place: &Place,
        slot: Slot,
        generation: u64,
        record: &Record,
        attributes: &[Attribute<'_>],
    ) -> (Option<Verdict>, u64) {
        let seat = place.seat(slot.index());
        // SAFETY: this thread has the slot, is pinned to the place and saw it open.
        let Some(instance) = (unsafe { self.seated(place, seat, record.now_ns) }) else {
            return (None, 0);
        };
        seat.in_call.store(true, Relaxed);
        let decided = instance.decide(record, attributes);
        seat.in_call.store(false, Relaxed);
        match decided {
            Ok(verdict) => {
                let observes = instance.observes();
                place.strikes.answered();
                seat.count(verdict.action, observes);
                (Some(verdict), if observes { self.token(generation) } else { 0 })
            }
            Err(failure) => {
                let cause = instance.cause(&failure);
                // SAFETY: as above.
                unsafe { self.failed(place, seat, &failure, cause, record.now_ns) };
                (None, 0)
            }
        }
    }

    /// The instance of this thread, made when there is none. `None`: that failed, and was counted.
    ///
    /// # Safety
    /// The caller owns the seat and is pinned to the place.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the caller owns the seat")]
    unsafe fn seated<'a>(&self, place: &Place, seat: &'a Seat, now_ns: u64) -> Option<&'a mut Instance> {
        // SAFETY: as the caller says.
        let sound = unsafe { seat.instance() }.is_some() && !seat.in_call.load(Relaxed);
        // SAFETY: as the caller says.
        if !sound && !unsafe { self.sit_down(place, seat, now_ns) } {
            return None;
        }
        // SAFETY: as the caller says.
        unsafe { seat.instance() }.as_deref_mut()
    }

    /// # Safety
    /// As for [`Entry::seated`].
    #[cold]
    unsafe fn sit_down(&self, place: &Place, seat: &Seat, now_ns: u64) -> bool {
        // SAFETY: as the caller says.
        let generation = unsafe { place.generation() };
        let made = generation.map(|from| (from, Instance::new(from, Arc::clone(&self.state))));
        let instance = match made {
            Some((_, Ok(instance))) => Some(Box::new(instance)),
            Some((from, Err(error))) => {
                let cause = cause_of(&error);
                self.counts.failures[cause.index()].fetch_add(1, Relaxed);
                let row = from.options.strikes_in_a_row;
                if place.strikes.failed(now_ns, row, from.options.strikes_in_window) {
                    place.quarantined.store(true, Relaxed);
                }
                None
            }
            None => None,
        };
        let seated = instance.is_some();
        // SAFETY: as the caller says.
        unsafe { seat.put(instance) };
        seated
    }

    /// Counts a failure and, unless it was a mere bad answer, gives up the instance.
    ///
    /// # Safety
    /// As for [`Entry::seated`].
    #[cold]
    unsafe fn failed(&self, place: &Place, seat: &Seat, failure: &Failure, cause: Cause, now_ns: u64) {
        self.counts.failures[cause.index()].fetch_add(1, Relaxed);
        if matches!(failure, Failure::Stopped(_)) {
            // SAFETY: as the caller says.
            unsafe { seat.put(None) };
        }
        // SAFETY: as the caller says.
        let Some(generation) = (unsafe { place.generation() }) else {
            return;
        };
        let options = &generation.options;
        if place.strikes.failed(now_ns, options.strikes_in_a_row, options.strikes_in_window) {
            place.quarantined.store(true, Relaxed);
        }
    }

    /// The place where a generation may still be entered.
    fn place_open_for(&self, generation: u64) -> Option<&Place> {
        let serving = &self.places[place_of(self.current.load(Acquire))];
        if serving.open.load(Acquire) == generation {
            return Some(serving);
        }
        self.places.iter().find(|place| place.open.load(Acquire) == generation)
    }

    /// False when nobody was there to hear it.
    #[inline]
    fn tell(&self, token: u64, record: &Record, end: (u8, u64)) -> bool {
        let Some(generation) = self.generation_in(token) else {
            return false;
        };
        let place = self.place_open_for(generation);
        Slot::own().zip(place).is_some_and(|(slot, place)| self.observe_in(place, slot, generation, record, end))
    }

    /// True when the generation heard it.
    fn observe_in(
        &self,
        place: &Place,
        slot: Slot,
        generation: u64,
        record: &Record,
        (outcome, duration_ns): (u8, u64),
    ) -> bool {
        let Some(_pin) = slot.pin(place.address()) else {
            return false;
        };
        if place.open.load(SeqCst) != generation {
            return false;
        }
        let seat = place.seat(slot.index());
        // SAFETY: this thread has the slot, is pinned to the place and saw it open.
        if let Some(instance) = unsafe { self.seated(place, seat, record.now_ns) } {
            seat.in_call.store(true, Relaxed);
            let observed = instance.observe(record, outcome, duration_ns);
            seat.in_call.store(false, Relaxed);
            if let Err(failure) = observed {
                let cause = instance.cause(&failure);
                // SAFETY: as above.
                unsafe { self.failed(place, seat, &failure, cause, record.now_ns) };
            }
        }
        seat.count_observed();
        true
    }
}

impl Policy for Entry {
    #[inline]
    fn decide(&self, record: &Record, attributes: &[Attribute<'_>]) -> (Option<Verdict>, u64) {
        let Some(slot) = Slot::own() else {
            return self.no_instance();
        };
        let Some((pin, word)) = self.enter(slot) else {
            return self.no_instance();
        };
        let place = &self.places[place_of(word)];
        let answer = self.decide_in(place, slot, generation_of(word), record, attributes);
        drop(pin);
        if self.current.load(Relaxed) != word {
            ticker::collect_soon();
        }
        answer
    }

    fn observe(&self, token: u64, record: &Record, outcome: u8, duration_ns: u64) {
        if token == 0 {
            return;
        }
        if !self.tell(token, record, (outcome, duration_ns)) {
            self.counts.late_observes.fetch_add(1, Relaxed);
        }
        if self.token(generation_of(self.current.load(Relaxed))) != token {
            ticker::collect_soon();
        }
    }
}

/// What a refused instantiation counts as.
fn cause_of(error: &PolicyError) -> Cause {
    match error {
        PolicyError::Stopped { cause, .. } => *cause,
        _ => Cause::NoInstance,
    }
}
