//! A runtime: one opened Tidegate in a process.

mod attribute;
mod blocks;
mod breakers;
mod keyed;
mod load;
mod local;
mod per_process;
mod publish;
mod resolve;
mod shared;
mod tables;
mod word_of_thread;

use crate::breaker::counts::Rule;
use crate::breaker::handle::CountedBreaker;
use crate::clock::{Clock, ClockSource};
use crate::error::Result;
use crate::guard::handle::Guard;
use crate::limiter::{self, Limiter};
use crate::metrics::instrument::{Counter, Description, Gauge, Histogram};
use crate::metrics::snapshot::Snapshot;
use crate::policy::{AttributeNames, PolicyHost};
use crate::segment::{Segment, SegmentOptions};
use crate::system::gate::Load;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

pub(crate) use local::{Local, current, keeping_places, latest};
pub(crate) use per_process::PerProcess;
pub(crate) use shared::Shared;

pub(crate) use resolve::{check_name, full};

pub use publish::check_rules;
pub use resolve::OVERFLOW_GUARD;

/// What a runtime is opened with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The segment, when it has to be made.
    pub segment: SegmentOptions,
    /// The clock, when the segment has to be made.
    pub clock: ClockSource,
    /// Whether this process lets rules inject faults.
    pub faults: bool,
}

/// An opened runtime. All its methods may be called by many threads at once. Dropping it closes it: its handles
/// stay valid and answer [`crate::error::ErrorKind::Closed`].
pub struct Runtime {
    shared: &'static Shared,
}

/// How full a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentUsage {
    /// Its size.
    pub bytes: u64,
    /// Bytes handed out at most so far, tables included (they take memory only as they are touched).
    pub used_bytes: u64,
    /// Bytes of a guard's cell; 512 and up to 12 KiB more come with each thread slot that uses it.
    pub guard_bytes: u64,
    /// Bytes of a guard's words in one lane, without histogram pages.
    pub guard_lane_bytes: u64,
    /// Bytes of a series' cell, without its name.
    pub series_bytes: u64,
    /// Bytes of a counter's words in one lane.
    pub counter_lane_bytes: u64,
    /// Bytes of a histogram's words in one lane, without its pages of 512 bytes (four octaves each).
    pub histogram_lane_bytes: u64,
}

impl Runtime {
    /// Opens a runtime: on the segment of this name that the process (or a parent that forked it) has
    /// already, or on a new one.
    pub fn open(options: &Options) -> Result<Runtime> {
        Shared::open(options).map(|shared| Runtime { shared })
    }

    /// Attaches to a segment through its file, in a mapping of its own.
    pub fn attach(file: BorrowedFd<'_>) -> Result<Runtime> {
        Shared::start(Segment::attach(file)?, false).map(|shared| Runtime { shared })
    }

    /// Closes it; its handles answer `Closed` from now on. False when it was closed before.
    pub fn close(&self) -> bool {
        self.shared.close()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// The clock. **Hot.**
    pub fn clock(&self) -> Clock<'_> {
        self.shared.clock()
    }

    /// Does now what this thread's first call would do: takes its slot.
    pub fn prepare_thread(&self) -> Result<()> {
        self.shared.open_or_err()?;
        current(self.shared).prepare(self.shared);
        Ok(())
    }

    /// Puts a rules document in force, whole or not at all. **Cold.**
    pub fn apply_rules(&self, json: &[u8]) -> Result<()> {
        self.shared.apply_rules(json)
    }

    /// The version of the rules in force; 0 before the first.
    pub fn rules_version(&self) -> u64 {
        self.shared.segment().header().rules_version.load(std::sync::atomic::Ordering::Acquire)
    }

    /// The guard of this name, made if need be. **Cold**: once per name.
    pub fn guard(&self, name: &str) -> Result<&'static Guard> {
        self.shared.guard(name)
    }

    /// The counted breaker of this name (1 to 128 bytes), made if need be; with an empty name, a new one of the process's own. It
    /// is never unmapped. **Cold.**
    ///
    /// # Errors
    /// `Conflict`: one of this name goes by another rule.
    pub fn breaker(&self, name: &str, rule: Rule) -> Result<&'static CountedBreaker> {
        self.shared.breaker(name, rule)
    }

    /// The counter of this description. **Cold.**
    pub fn counter(&self, what: &Description<'_>) -> Result<&'static Counter> {
        self.shared.counter(what)
    }

    /// The gauge of this description. **Cold.**
    pub fn gauge(&self, what: &Description<'_>) -> Result<&'static Gauge> {
        self.shared.gauge(what)
    }

    /// The histogram of this description. **Cold.**
    pub fn histogram(&self, what: &Description<'_>) -> Result<&'static Histogram> {
        self.shared.histogram(what)
    }

    /// The limiter of this name, shared by all who resolve it; with an empty name, a new one of this process's own. One that stands already
    /// keeps its options, whatever these say; None: it must stand already ([`crate::ErrorKind::NotFound`]). **Cold.**
    pub fn limiter(&self, name: &str, options: Option<&limiter::Options>) -> Result<&'static Limiter> {
        self.shared.limiter(name, options)
    }

    /// The id of an attribute's name, from 1 up: the same for callers, rules and policies, in every process. At most
    /// [`crate::policy::ATTRIBUTES_MAX`] names of 1 to 128 bytes. **Cold.**
    pub fn attribute(&self, name: &str) -> Result<u32> {
        self.shared.attribute(name)
    }

    /// The same for a policy host, which outlives this value.
    pub fn attribute_names(&self) -> Arc<dyn AttributeNames> {
        Arc::new(attribute::Names(self.shared))
    }

    /// Who finds policies. To be set once, before guards with policies are entered; later calls change nothing.
    pub fn set_policy_host(&self, host: Arc<dyn PolicyHost>) {
        self.shared.set_host(host);
    }

    /// Reads CPU and memory of the container (of the machine, where there is none), and tells every guard of every process on
    /// the segment, for 10 s. To be called every 250 ms or so while rules in force have a `system` stage
    /// ([`Runtime::wants_load`]). The CPU is known from the second call of a process on. **Cold**: opens files.
    ///
    /// # Errors
    /// There is nothing to read.
    pub fn sample_load(&self) -> Result<Load> {
        self.shared.sample_load()
    }

    /// Says in its place what the load is: for hosts that measure it themselves, and for tests.
    ///
    /// # Errors
    /// The runtime was closed.
    pub fn set_load(&self, load: Load) -> Result<()> {
        self.shared.set_load(load)
    }

    /// Whether rules in force have a `system` stage, so that somebody should sample the load. **Cold.**
    ///
    /// # Errors
    /// The runtime was closed.
    pub fn wants_load(&self) -> Result<bool> {
        self.shared.wants_load()
    }

    /// All figures, as they are now. Writers go on meanwhile. **Cold.**
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.shared.snapshot()
    }

    /// Takes back what processes held that have died since. **Cold**; also done by every attach and snapshot.
    pub fn reap(&self) -> Result<u32> {
        self.shared.reap_dead()
    }

    /// Starts timed state afresh: full buckets, closed breakers, no permits. Done at attach when the segment
    /// comes from another boot or time namespace; counters stay.
    pub fn reset_timed_state(&self) -> Result<()> {
        self.shared.reset_timed_state()
    }

    /// How full the segment is.
    pub fn segment_usage(&self) -> SegmentUsage {
        let segment = self.shared.segment();
        SegmentUsage {
            bytes: segment.bytes(),
            used_bytes: segment.used_bytes(),
            guard_bytes: size_of::<crate::guard::cell::GuardCell>() as u64,
            guard_lane_bytes: crate::guard::cell::RUN as u64 * 8,
            series_bytes: size_of::<crate::segment::directory::Cell>() as u64,
            counter_lane_bytes: 16,
            histogram_lane_bytes: crate::metrics::instrument::HISTOGRAM_RUN as u64 * 8,
        }
    }

    /// The segment, for tests and tools.
    pub fn segment(&self) -> &Segment {
        self.shared.segment()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.close();
    }
}
