//! A place: where one generation of a policy serves, with a seat for each thread's instance.
//!
//! A policy has a fixed number of places, which are never freed before the policy is; so a thread may
//! always look at one. What is in it belongs
//! - the place's generation: to whoever changes it while nobody is pinned to the place;
//! - a seat: to the thread whose slot it is, while pinned to the place and having seen it open.

use crate::generation::Generation;
use crate::instance::Instance;
use crate::strikes::Strikes;
use crate::thread::THREADS_MAX;
use crossbeam_utils::CachePadded;
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering::*};
use tidegate_core::policy::Action;

/// Seats come in rows, made when a thread of the row first sits down.
const ROW: usize = 64;
const ROWS: usize = THREADS_MAX / ROW;

/// One thread's instance in one place, and what it counted there.
#[derive(Default)]
pub(crate) struct Seat {
    instance: UnsafeCell<Option<Box<Instance>>>,
    /// There is an instance.
    pub filled: AtomicBool,
    /// A call is in the guest. Still set when a thread comes: the thread that was here was left
    /// behind by a fork, or unwound, in the middle of a call.
    pub in_call: AtomicBool,
    /// Calls decided here less calls observed here; only the sum over all seats means something.
    /// Written by the owner alone, as all counts here.
    inflight: AtomicI64,
    calls: [AtomicU64; 4],
    observes: AtomicU64,
}

// SAFETY: the instance is reached through `Seat::instance` alone, whose callers own the seat.
unsafe impl Sync for Seat {}

impl Seat {
    /// The instance in it.
    ///
    /// # Safety
    /// The caller owns the seat, as the module says.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the caller owns the seat")]
    pub unsafe fn instance(&self) -> &mut Option<Box<Instance>> {
        // SAFETY: as the caller says.
        unsafe { &mut *self.instance.get() }
    }

    /// Puts an instance in, or takes it away.
    ///
    /// # Safety
    /// The caller owns the seat.
    pub unsafe fn put(&self, instance: Option<Box<Instance>>) {
        // SAFETY: as the caller says.
        let old = unsafe { self.instance() };
        self.filled.store(instance.is_some(), Release);
        let old = std::mem::replace(old, instance);
        if self.in_call.load(Relaxed) {
            // Somewhere in a call that never ends: not to be touched, not even to free it.
            let _ = ManuallyDrop::new(old);
            self.in_call.store(false, Relaxed);
        }
    }

    /// **Hot.** Counts an answer, of a call that will be observed or not.
    #[inline]
    pub fn count(&self, action: Action, observed_later: bool) {
        add(&self.calls[action as usize], 1);
        if observed_later {
            self.inflight.store(self.inflight.load(Relaxed) + 1, Release);
        }
    }

    /// **Hot.** Counts the end of a call.
    #[inline]
    pub fn count_observed(&self) {
        add(&self.observes, 1);
        self.inflight.store(self.inflight.load(Relaxed) - 1, Release);
    }
}

/// By its only writer.
fn add(word: &AtomicU64, n: u64) {
    word.store(word.load(Relaxed).wrapping_add(n), Relaxed);
}

type Row = [CachePadded<Seat>; ROW];

/// Where one generation serves.
pub(crate) struct Place {
    /// The generation that may be entered here; 0: none.
    pub open: AtomicU64,
    /// The generation failed too often.
    pub quarantined: AtomicBool,
    pub strikes: Strikes,
    generation: UnsafeCell<Option<Arc<Generation>>>,
    rows: [AtomicPtr<Row>; ROWS],
}

// SAFETY: the generation is reached through `Place::generation` and `furnish`, whose callers keep
// to the module's rule; the rows are only ever added to.
unsafe impl Sync for Place {}
// SAFETY: nothing in it belongs to a thread by its identity; instances are `Send`.
unsafe impl Send for Place {}

impl Default for Place {
    fn default() -> Self {
        Self {
            open: AtomicU64::new(0),
            quarantined: AtomicBool::new(false),
            strikes: Strikes::default(),
            generation: UnsafeCell::new(None),
            rows: [const { AtomicPtr::new(null_mut()) }; ROWS],
        }
    }
}

impl Place {
    /// What slots are pinned to.
    #[inline]
    pub fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// The generation in it.
    ///
    /// # Safety
    /// The caller is pinned to the place and saw it open, or is the one who may furnish it.
    pub unsafe fn generation(&self) -> Option<&Arc<Generation>> {
        // SAFETY: as the caller says, nobody changes it.
        unsafe { (*self.generation.get()).as_ref() }
    }

    /// Puts a generation in, or takes it away, and forgets the last one's failures.
    ///
    /// # Safety
    /// The place is not open, nobody is pinned to it, and the caller holds the policy's cold lock.
    pub unsafe fn furnish(&self, generation: Option<Arc<Generation>>) {
        // SAFETY: as the caller says, nobody reads it.
        drop(std::mem::replace(unsafe { &mut *self.generation.get() }, generation));
        self.strikes.clear();
        self.quarantined.store(false, Relaxed);
    }

    /// **Hot.** The seat of a slot; makes its row at the first time.
    #[inline]
    pub fn seat(&self, slot: usize) -> &Seat {
        let row = self.rows[slot / ROW].load(Acquire);
        // SAFETY: a row is never freed before the place.
        unsafe { &(*if row.is_null() { self.add_row(slot / ROW) } else { row })[slot % ROW] }
    }

    #[cold]
    fn add_row(&self, row: usize) -> *mut Row {
        let new: Box<Row> = Box::new(std::array::from_fn(|_| CachePadded::default()));
        let new = Box::into_raw(new);
        match self.rows[row].compare_exchange(null_mut(), new, AcqRel, Acquire) {
            Ok(_) => new,
            Err(other) => {
                // SAFETY: ours, and nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
                other
            }
        }
    }

    /// The seat of a slot, when its row was made.
    pub fn seat_if_made(&self, slot: usize) -> Option<&Seat> {
        // SAFETY: null, or a row that is never freed before the place.
        let row = unsafe { self.rows[slot / ROW].load(Acquire).as_ref() };
        row.map(|row| &*row[slot % ROW])
    }

    /// Every seat there is, with its slot.
    pub fn seats(&self) -> impl Iterator<Item = (usize, &Seat)> {
        (0..THREADS_MAX).filter_map(|slot| self.seat_if_made(slot).map(|seat| (slot, seat)))
    }

    /// Calls that were decided here and not yet observed. Exact when nobody decides here any more:
    /// then it only falls, so that 0 is 0.
    pub fn inflight(&self) -> i64 {
        self.seats().map(|(_, seat)| seat.inflight.load(Acquire)).sum()
    }

    /// Forgets calls that were never observed.
    pub fn forget_inflight(&self) {
        self.seats().for_each(|(_, seat)| seat.inflight.store(0, Relaxed));
    }

    /// Answers by action, and observed calls, of all generations that ever served here.
    pub fn counts(&self) -> ([u64; 4], u64) {
        let mut calls = [0u64; 4];
        let mut observes = 0u64;
        for (_, seat) in self.seats() {
            for (sum, word) in calls.iter_mut().zip(&seat.calls) {
                *sum = sum.wrapping_add(word.load(Relaxed));
            }
            observes = observes.wrapping_add(seat.observes.load(Relaxed));
        }
        (calls, observes)
    }

    /// Instances in it.
    pub fn instances(&self) -> usize {
        self.seats().filter(|(_, seat)| seat.filled.load(Relaxed)).count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for (_, seat) in self.seats() {
            // SAFETY: nobody else has the place.
            unsafe { seat.put(None) };
        }
        for row in &mut self.rows {
            let row = std::mem::replace(row.get_mut(), null_mut());
            if !row.is_null() {
                // SAFETY: made by `add_row`, and nobody else has the place.
                drop(unsafe { Box::from_raw(row) });
            }
        }
    }
}
