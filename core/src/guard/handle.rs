//! A process's handle to a guard: resolved once, never unmapped.

use super::cell::{GuardCell, SECOND};
use super::extra::State;
use super::keyed_limit::Looked;
use super::known::{Facts, Known, known_at};
use super::numbers::{Block, ExtraBlock, NO_RULES};
use super::policy_stage::Bound;
use super::usual::Usual;
use super::watch::Watchers;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Local, Shared, latest};
use crate::segment::View;
use crate::segment::directory::Found;
use crate::slot::lane::{Run, RunPlace};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

const LIVE: u64 = u64::from_le_bytes(*b"tg_guard");

/// A guard as this process knows it. All methods may be called by many threads at once.
#[repr(align(64))]
pub struct Guard {
    pub(super) shared: &'static Shared,
    pub(super) view: View,
    cell: *const GuardCell,
    pub(super) generation: u32,
    pub(super) place: RunPlace,
    /// Where threads remember it.
    pub(super) known_at: u16,
    /// [`LIVE`] until the handle ends: what is not a guard will hardly say so.
    mark: AtomicU64,
    /// The policy that the rules bind, as last looked up.
    pub(super) bound: AtomicPtr<Bound>,
    pub(super) bound_key: AtomicU64,
    pub(super) watchers: Watchers,
    /// The rate limits by key, as last looked up.
    pub(super) keyed: Looked,
    pub(super) usual: Usual,
    found: Found,
}

// SAFETY: the cell is reached only through atomics, and its mapping stays for ever.
unsafe impl Send for Guard {}
// SAFETY: as above.
unsafe impl Sync for Guard {}

impl Guard {
    /// A handle for a guard that was found; leaked, as handles are never unmapped.
    pub(crate) fn leak(shared: &'static Shared, found: Found) -> Option<&'static Guard> {
        static INDICES: AtomicU32 = AtomicU32::new(0);
        let cell = shared.segment().at::<GuardCell>(found.at)?;
        Some(Box::leak(Box::new(Guard {
            shared,
            view: shared.segment().view(),
            cell,
            generation: found.generation,
            place: RunPlace(cell.cell.run.load(Relaxed)),
            known_at: known_at(INDICES.fetch_add(1, Relaxed)),
            mark: AtomicU64::new(LIVE),
            bound: AtomicPtr::new(null_mut()),
            bound_key: AtomicU64::new(0),
            watchers: Watchers::default(),
            keyed: Looked::nothing(),
            usual: Usual::unknown(),
            found,
        })))
    }

    #[inline(always)]
    pub(super) fn cell(&self) -> &GuardCell {
        // SAFETY: checked when the handle was made; the mapping is never unmapped, only replaced by zeros.
        unsafe { &*self.cell }
    }

    /// Whether the runtime is open and the guard stands.
    pub fn is_alive(&self) -> bool {
        self.mark.load(Acquire) == LIVE && self.cell().cell.generation.load(Acquire) == self.generation
    }

    /// Ends the handle: what is called with it from now on answers `Closed`.
    pub(crate) fn mark_dead(&self) {
        self.mark.store(0, Release);
    }

    /// What the calling thread remembers of it, when that is still true.
    #[inline(always)]
    pub(super) fn known(&'static self) -> Option<(&'static Local, &'static Known)> {
        let local = latest()?;
        let known = local.known(self.known_at);
        known.of(self, local.changes()).map(|_| (local, known))
    }

    /// Whether what is known of it is still true.
    #[inline(always)]
    pub(super) fn is_as(&self, facts: &Facts) -> bool {
        self.changes() == facts.changes() || self.is_as_ever(facts)
    }

    /// The same where something has changed in the segment.
    #[cold]
    fn is_as_ever(&self, facts: &Facts) -> bool {
        self.is_alive() && facts.numbers().tag() == facts.tag()
    }

    pub(crate) fn found(&self) -> Found {
        self.found
    }

    /// How much has changed in the segment: see [`crate::segment::header::Header`].
    #[inline(always)]
    pub(super) fn changes(&self) -> u64 {
        self.view.header().changes.load(Acquire)
    }

    /// The numbers in force.
    pub(super) fn numbers(&self) -> &Block {
        let turn = self.view.header().rules_turn.load(Acquire);
        let at = self.cell().cell.words[(turn & 1) as usize].load(Acquire);
        match self.view.at::<Block>(at as u32) {
            Some(block) => block,
            None => &NO_RULES,
        }
    }

    /// Its further disciplines by these numbers, if it has any.
    pub(super) fn extra<'a>(&'a self, numbers: &Block) -> Option<(&'a ExtraBlock, &'a State)> {
        let numbers = self.view.at(numbers.extra())?;
        Some((numbers, self.view.at(self.cell().extra.load(Acquire))?))
    }

    /// Place of its second run.
    pub(super) fn second_place(&self) -> RunPlace {
        RunPlace(self.cell().second.load(Relaxed))
    }

    /// Its second run in a thread's lane, if it has one.
    pub(super) fn second<'a>(&self, local: &'a Local) -> Option<Run<'a>> {
        let place = self.second_place();
        (place.0 != 0).then(|| local.run(place, SECOND, &self.cell().cell.generation, self.generation))
    }

    /// Whether the guard stands, as a result.
    pub(super) fn alive(&self) -> Result<()> {
        if self.is_alive() {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Closed, "the runtime was closed or the guard retired"))
        }
    }

    /// Now, in ns.
    pub(super) fn now(&self) -> u64 {
        self.view.header().clock.now()
    }

    /// The epoch that permits given at `now` belong to. Each life of a cell begins elsewhere, so that a late exit of
    /// an earlier life changes nothing.
    pub(super) fn epoch(&self, numbers: &Block, now: u64) -> u64 {
        (numbers.hold().epoch(now) + u64::from(self.generation)) & 0x7FFF
    }

    /// Takes the guard out of the segment; its room is used again. **Cold.** Calls in flight exit as `Closed`.
    pub fn retire(&self) -> Result<()> {
        self.shared.retire_guard(self)
    }

    /// The guard's name. **Cold.**
    pub fn name(&self) -> Result<String> {
        self.shared.guard_name(self)
    }
}
