//! What a thread remembers of a series, so that it need not look its words up again.
//!
//! Counters and histograms are remembered apart, so that what is remembered of a handle also says of which kind it is.

use super::histogram::Last;
use super::instrument::Handle;
use crate::slot::lane::Own;
use std::cell::Cell;
use std::ptr::{from_ref, null};
use std::sync::atomic::AtomicU64;

/// A thread's memory of one series with runs of N words. It is good as long as the series stands.
pub struct KnownSeries<const N: usize> {
    /// Whose it is; null: nobody's.
    handle: Cell<*const Handle>,
    /// The first word of its run in the thread's own lane.
    first: Cell<*const AtomicU64>,
}

/// A thread's memory of one histogram.
pub struct KnownHistogram<const N: usize> {
    /// As of any series.
    pub(super) series: KnownSeries<N>,
    /// Where it was counted in last.
    pub(super) last: Last,
}

impl<const N: usize> KnownSeries<N> {
    /// A memory of nothing.
    pub const fn nothing() -> Self {
        KnownSeries { handle: Cell::new(null()), first: Cell::new(null()) }
    }

    /// The run of a series in the thread's own lane, when it is remembered.
    #[inline(always)]
    pub(super) fn run(&self, handle: &Handle) -> Option<Own<'static, N>> {
        // SAFETY: learnt of a run of N words, in a segment that stays mapped.
        (self.handle.get() == from_ref(handle)).then(|| Own::new(unsafe { &*self.first.get().cast() }))
    }

    /// Learns the run.
    pub(super) fn learn(&self, handle: &Handle, run: Own<'static, N>) {
        // A signal handler that calls in between finds nobody's memory, and learns it for itself.
        self.handle.set(null());
        self.first.set(run.words().as_ptr());
        self.handle.set(handle);
    }
}

impl<const N: usize> KnownHistogram<N> {
    /// A memory of nothing.
    pub const fn nothing() -> Self {
        KnownHistogram { series: KnownSeries::nothing(), last: Last::none() }
    }
}
