//! What a thread remembers of a guard, so that a call need not look it all up again.
//!
//! A memory is the thread's own. It is good as long as the guard stands in the same life and the rules have had no turn
//! since: every call looks at both.

use super::cell::RUN;
use super::handle::Guard;
use super::numbers::{Block, Flags, NO_RULES};
use super::permit;
use crate::breaker::window::LastSlot;
use crate::concurrency::fixed::MAX_LIMIT;
use crate::metrics::histogram::KnownPages;
use crate::rules::Mode;
use crate::slot::lane::Own;
use std::cell::Cell;
use std::ptr::{from_ref, null};
use std::sync::atomic::AtomicU64;

/// A thread's memory of one guard.
#[repr(align(64))]
pub struct Known {
    /// Whose it is; null: nobody's.
    guard: Cell<*const Guard>,
    run: Cell<Own<'static, RUN>>,
    facts: Facts,
}

/// What a call has to know of its guard.
pub(super) struct Facts {
    /// The rules' turn at which the numbers were looked up.
    turn: Cell<u64>,
    numbers: Cell<&'static Block>,
    tag: Cell<u64>,
    flags: Cell<Flags>,
    limit: Cell<u64>,
    epoch: Cell<u64>,
    token: Cell<u64>,
    seal: Cell<u64>,
    /// Where its window was counted in last.
    pub(super) slot: LastSlot,
    /// Where its durations are counted.
    pub(super) pages: KnownPages,
}

/// In place of an epoch: time changes it.
const TIMED: u64 = u64::MAX;

/// The run of nobody.
static NOWHERE: [AtomicU64; RUN] = [const { AtomicU64::new(0) }; RUN];

impl Known {
    /// A memory of nothing.
    pub const fn nothing() -> Known {
        Known { guard: Cell::new(null()), run: Cell::new(Own::new(&NOWHERE)), facts: Facts::none() }
    }

    /// Learns what there is to know. The run is the thread's own.
    pub(super) fn learn(&self, guard: &'static Guard, run: Own<'static, RUN>, token: u64) -> &Facts {
        // A signal handler that calls in between finds nobody's memory, and learns it for itself.
        self.guard.set(null());
        self.run.set(run);
        self.facts.learn(guard, token);
        self.guard.set(from_ref(guard));
        &self.facts
    }

    /// Whether it is of the guard at this address, whatever is there.
    #[inline(always)]
    pub(super) fn is_of(&self, guard: *const Guard) -> bool {
        self.guard.get() == guard
    }

    /// The guard that it is of.
    #[inline(always)]
    pub(super) fn guard(&self) -> Option<&'static Guard> {
        // SAFETY: null or a handle, and handles are never unmapped.
        unsafe { self.guard.get().as_ref() }
    }

    /// The guard's run in the thread's own lane.
    #[inline(always)]
    pub(super) fn run(&self) -> Own<'static, RUN> {
        self.run.get()
    }

    /// What else is known.
    #[inline(always)]
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl Facts {
    const fn none() -> Facts {
        Facts {
            turn: Cell::new(0),
            numbers: Cell::new(&NO_RULES),
            tag: Cell::new(0),
            flags: Cell::new(Flags::NONE),
            limit: Cell::new(0),
            epoch: Cell::new(TIMED),
            token: Cell::new(0),
            seal: Cell::new(0),
            slot: LastSlot::nothing(),
            pages: KnownPages::none(),
        }
    }

    /// All that is known of a guard by a thread that may not keep it.
    pub(super) fn of(guard: &'static Guard, token: u64) -> Facts {
        let facts = Facts::none();
        facts.learn(guard, token);
        facts
    }

    fn learn(&self, guard: &'static Guard, token: u64) {
        self.turn.set(guard.turn());
        let numbers = guard.numbers_at(self.turn.get());
        self.numbers.set(numbers);
        self.tag.set(numbers.tag());
        self.flags.set(numbers.flags());
        let enforced = numbers.flags().concurrency() == Mode::Enforce;
        self.limit.set(if enforced { numbers.limit() } else { u64::MAX }.min(MAX_LIMIT.into()));
        self.epoch.set(if numbers.hold().passes() { TIMED } else { guard.epoch(numbers, 0) });
        self.token.set(token);
        self.seal.set(permit::seal_of(guard, token));
        self.pages.forget();
    }

    /// The rules' turn at which it was learnt.
    #[inline(always)]
    pub(super) fn turn(&self) -> u64 {
        self.turn.get()
    }

    /// The numbers in force then.
    #[inline(always)]
    pub(super) fn numbers(&self) -> &'static Block {
        self.numbers.get()
    }

    /// The tag that those had.
    #[inline(always)]
    pub(super) fn tag(&self) -> u64 {
        self.tag.get()
    }

    /// Their modes.
    #[inline(always)]
    pub(super) fn flags(&self) -> Flags {
        self.flags.get()
    }

    /// The concurrency limit that refuses; as good as none where there is none.
    #[inline(always)]
    pub(super) fn limit(&self) -> u64 {
        self.limit.get()
    }

    /// The epoch of permits, where time does not change it.
    #[inline(always)]
    pub(super) fn epoch(&self) -> Option<u64> {
        Some(self.epoch.get()).filter(|&epoch| epoch != TIMED)
    }

    /// The process's token.
    #[inline(always)]
    pub(super) fn token(&self) -> u64 {
        self.token.get()
    }

    /// What the seals of this process's permits of the guard have in common.
    #[inline(always)]
    pub(super) fn seal(&self) -> u64 {
        self.seal.get()
    }
}
