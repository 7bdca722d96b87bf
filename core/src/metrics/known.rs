//! What a thread remembers of a series, so that it need not look its words up again.

use super::histogram::Last;
use super::instrument::Handle;
use crate::slot::lane::Own;
use std::cell::Cell;
use std::ptr::{from_ref, null};
use std::sync::atomic::AtomicU64;

/// A thread's memory of one series. It is good as long as the series stands.
pub struct KnownSeries {
    /// Whose it is; null: nobody's.
    handle: Cell<*const Handle>,
    /// The first word of its run in the thread's own lane.
    first: Cell<*const AtomicU64>,
    /// Of a histogram: where it was counted in last.
    pub(super) last: Last,
}

impl KnownSeries {
    /// A memory of nothing.
    pub const fn nothing() -> KnownSeries {
        KnownSeries { handle: Cell::new(null()), first: Cell::new(null()), last: Last::none() }
    }

    /// The run of a series in the thread's own lane, when it is remembered. N must be the same for each series.
    #[inline(always)]
    pub(super) fn run<const N: usize>(&self, handle: &Handle) -> Option<Own<'static, N>> {
        // SAFETY: learnt of the same series, so there are N words, in a segment that stays mapped.
        (self.handle.get() == from_ref(handle)).then(|| Own::new(unsafe { &*self.first.get().cast() }))
    }

    /// Learns the run.
    pub(super) fn learn<const N: usize>(&self, handle: &Handle, run: Own<'static, N>) {
        // A signal handler that calls in between finds nobody's memory, and learns it for itself.
        self.handle.set(null());
        self.first.set(run.words().as_ptr());
        self.handle.set(handle);
    }
}
