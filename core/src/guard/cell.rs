//! A guard's cell: what all its callers share, and the words that it has in each slot's lane.

use crate::breaker::window;
use crate::metrics::histogram;
use crate::segment::Shared;
use crate::segment::directory::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The most rate limits of one guard.
pub const MAX_RATES: usize = 4;

/// The cell.
#[repr(C)]
pub struct GuardCell {
    /// Name, life, run; its `words` are the places of the guard's numbers, one a side of the rules.
    pub cell: Cell,
    /// What decisions are made on.
    pub hot: Hot,
    /// How often the breaker went to each state, as [`crate::breaker::state::State::ALL`] has them.
    pub transitions: [AtomicU64; 7],
    /// Place of the state of further disciplines ([`super::extra`]); 0: it has none yet.
    pub extra: AtomicU32,
    /// Place of the second run in the lanes; 0: it has none yet.
    pub second: AtomicU32,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for GuardCell {}

/// The words that decisions are made on. Those that every call writes are on one line, those that most calls only read on
/// another, so that two processors may keep the second.
#[repr(C, align(64))]
pub struct Hot {
    /// Calls in flight: see [`crate::concurrency::fixed`].
    pub concurrency: AtomicU64,
    /// Token buckets: see [`crate::rate::token_bucket`].
    pub rates: [AtomicU64; MAX_RATES],
    _rest_of_line: [AtomicU64; 7 - MAX_RATES],
    /// The breaker's state: see [`crate::breaker::state`].
    pub breaker: AtomicU64,
    /// Failures in a row: breaker generation (32 bits) | count (32 bits).
    pub consecutive: AtomicU64,
    /// The breaker generation + 1 in which too few calls were bad enough, so that every exit judges; or 0.
    pub watch: AtomicU64,
}

impl Hot {
    /// Whether a call that ends well ends a row of failures, or is to judge the window.
    #[inline(always)]
    pub fn has_failures(&self) -> bool {
        self.consecutive.load(Relaxed) | self.watch.load(Relaxed) != 0
    }
}

/// Words of a guard's second run: a page, but for one word, so that it is not taken for a first one.
pub const SECOND: usize = 63;

/// Words of a guard's run: a page.
pub const RUN: usize = 64;
/// In flight, as this slot counts: the truth behind [`Hot::concurrency`].
pub const HELD: usize = 1;
/// Exits by outcome.
pub const CALLS: usize = 2;
/// Refusals by stage number (the first is unused).
pub const REJECTED: usize = CALLS + 6;
/// What stages in shadow mode would have refused, likewise.
pub const SHADOWED: usize = REJECTED + 9;
/// Permits that `max_hold` took back.
pub const EXPIRED: usize = SHADOWED + 9;
/// Exits that held nothing, or were another process's.
pub const MISUSED: usize = EXPIRED + 1;
/// Calls that no policy answered, so that `on_fail` did.
pub const POLICY_FAILED: usize = MISUSED + 1;
/// The breaker's window.
pub const WINDOW: usize = POLICY_FAILED + 1;
/// The histogram of durations in seconds.
pub const LATENCY: usize = WINDOW + window::WORDS;

const _: () = assert!(LATENCY + histogram::WORDS <= RUN);
