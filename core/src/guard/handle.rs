//! A process's handle to a guard: resolved once, never unmapped.

use super::cell::GuardCell;
use super::numbers::{Block, NO_RULES};
use super::policy_stage::Bound;
use crate::runtime::Shared;
use crate::segment::View;
use crate::segment::directory::Found;
use crate::slot::lane::RunPlace;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

const LIVE: u64 = u64::from_le_bytes(*b"tg_guard");

/// A guard as this process knows it. All methods may be called by many threads at once.
#[repr(align(64))]
pub struct Guard {
    pub(super) shared: &'static Shared,
    pub(super) view: View,
    cell: *const GuardCell,
    pub(super) generation: u32,
    pub(super) place: RunPlace,
    /// [`LIVE`] until the handle ends: what is not a guard will hardly say so.
    life: AtomicU64,
    /// The policy that the rules bind, as last looked up.
    pub(super) bound: AtomicPtr<Bound>,
    pub(super) bound_key: AtomicU64,
    found: Found,
}

// SAFETY: the cell is reached only through atomics, and its mapping stays for ever.
unsafe impl Send for Guard {}
// SAFETY: as above.
unsafe impl Sync for Guard {}

impl Guard {
    /// A handle for a guard that was found; leaked, as handles are never unmapped.
    pub(crate) fn leak(shared: &'static Shared, found: Found) -> Option<&'static Guard> {
        let cell = shared.segment().at::<GuardCell>(found.at)?;
        Some(Box::leak(Box::new(Guard {
            shared,
            view: shared.segment().view(),
            cell,
            generation: found.generation,
            place: RunPlace(cell.cell.run.load(Relaxed)),
            life: AtomicU64::new(LIVE),
            bound: AtomicPtr::new(null_mut()),
            bound_key: AtomicU64::new(0),
            found,
        })))
    }

    #[inline(always)]
    pub(super) fn cell(&self) -> &GuardCell {
        // SAFETY: checked when the handle was made; the mapping is never unmapped, only replaced by zeros.
        unsafe { &*self.cell }
    }

    /// Whether the runtime is open and the guard stands.
    #[inline(always)]
    pub fn is_alive(&self) -> bool {
        self.life.load(Acquire) == LIVE && self.cell().cell.generation.load(Acquire) == self.generation
    }

    /// Ends the handle: what is called with it from now on answers `Closed`.
    pub(crate) fn mark_dead(&self) {
        self.life.store(0, Release);
    }

    pub(crate) fn found(&self) -> Found {
        self.found
    }

    /// The numbers in force.
    #[inline(always)]
    pub(super) fn numbers(&self) -> &Block {
        let turn = self.view.header().rules_turn.load(Acquire);
        let at = self.cell().cell.words[(turn & 1) as usize].load(Acquire);
        match self.view.at::<Block>(at as u32) {
            Some(block) => block,
            None => &NO_RULES,
        }
    }

    /// Now, in ns.
    #[inline(always)]
    pub(super) fn now(&self) -> u64 {
        self.view.header().clock.now()
    }

    /// The epoch that permits given at `now` belong to. Each life of a cell begins elsewhere, so that a late exit of
    /// an earlier life changes nothing.
    #[inline(always)]
    pub(super) fn epoch(&self, numbers: &Block, now: u64) -> u64 {
        (numbers.hold().epoch(now) + u64::from(self.generation)) & 0x7FFF
    }

    /// Takes the guard out of the segment; its room is used again. **Cold.** Calls in flight exit as `Closed`.
    pub fn retire(&self) -> crate::error::Result<()> {
        self.shared.retire_guard(self)
    }

    /// The guard's name. **Cold.**
    pub fn name(&self) -> crate::error::Result<String> {
        self.shared.guard_name(self)
    }
}
