//! The clock: nanoseconds that every process attached to a segment reads alike.
//!
//! Where the kernel itself trusts the time-stamp counter, so do we, between anchors to
//! `CLOCK_MONOTONIC` that whichever call notices renews about once a second. Elsewhere each reading is
//! one of `CLOCK_MONOTONIC`. A virtual clock stands still until it is told to move.

pub mod boot;
pub mod page;
mod tsc;

use crate::error::{Error, ErrorKind, Result};
use page::ClockPage;

pub use tsc::monotonic_ns;
pub(crate) use tsc::read as ticks;

/// Where a runtime's time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockSource {
    /// The machine's monotonic clock.
    #[default]
    Monotonic,
    /// A clock that moves only by [`Clock::set`] and [`Clock::advance`], from this many nanoseconds on.
    Virtual(u64),
}

/// A view of the segment's clock page. **Hot**, and safe for many threads at once.
#[derive(Clone, Copy)]
pub struct Clock<'a>(pub &'a ClockPage);

impl Clock<'_> {
    /// Nanoseconds since some moment before the runtime was opened.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        self.0.now()
    }

    /// Moves a virtual clock to `ns`, which may lie before.
    pub fn set(&self, ns: u64) -> Result<()> {
        self.0.set_virtual(|_| ns).ok_or_else(not_virtual)
    }

    /// Moves a virtual clock on by `ns`.
    pub fn advance(&self, ns: u64) -> Result<()> {
        self.0.set_virtual(|now| now.saturating_add(ns)).ok_or_else(not_virtual)
    }
}

fn not_virtual() -> Error {
    let what = "only a virtual clock can be moved: open the runtime with clock = virtual";
    Error::new(ErrorKind::Unsupported, what)
}
