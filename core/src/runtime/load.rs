//! Sampling the container's CPU and memory, for the system stage of guards and for the metrics. **Cold.**

use super::Shared;
use super::shared::busy;
use crate::clock::monotonic_ns;
use crate::error::{Error, ErrorKind, Result};
use crate::system::cgroup::Roots;
use crate::system::cpu::CpuMeter;
use crate::system::gate::Load;
use crate::system::memory;
use parking_lot::Mutex;
use std::sync::atomic::Ordering::*;
use std::time::Duration;

/// How long a change of the CPU takes to show for the most part.
const SETTLING_NS: u64 = 1_000_000_000;

/// What this process samples with.
pub(super) struct Sampler {
    meter: CpuMeter,
    /// The CPU as last known, in thousandths; 0: not yet.
    cpu: u32,
}

impl Sampler {
    fn new() -> Mutex<Sampler> {
        Mutex::new(Sampler { meter: CpuMeter::new(Roots::default(), SETTLING_NS), cpu: 0 })
    }

    /// By the machine's clock, as the container's counters go by that, whatever the runtime's is.
    fn read(&mut self) -> Result<Load> {
        self.cpu = self.meter.read(monotonic_ns()).unwrap_or(self.cpu);
        match (self.cpu, memory::read(&Roots::default())) {
            (0, None) => Err(Error::new(ErrorKind::System, "neither /sys/fs/cgroup nor /proc tells of CPU or memory")),
            (cpu, memory) => Ok(Load { cpu, memory: memory.unwrap_or(0) }),
        }
    }
}

impl Shared {
    /// Reads the container's files, and tells all processes on the segment.
    pub(super) fn sample_load(&self) -> Result<Load> {
        self.open_or_err()?;
        let sampler = self.sampler.get().unwrap_or_else(|| self.sampler.put(Sampler::new()));
        let load = sampler.try_lock_for(Duration::from_secs(2)).ok_or_else(busy)?.read()?;
        self.set_load(load)?;
        Ok(load)
    }

    /// Tells all processes on the segment.
    pub(super) fn set_load(&self, load: Load) -> Result<()> {
        self.open_or_err()?;
        let now = self.clock().now();
        self.segment().header().load.store(load.word(now), Release);
        Ok(())
    }

    /// What was sampled last, unless that was too long ago; 0 is not known.
    pub(crate) fn load(&self) -> Load {
        Load::of(self.segment().header().load.load(Acquire), self.clock().now())
    }

    /// Whether a guard's rules have a system stage that is not off. The rules are looked through once a version.
    pub(super) fn wants_load(&self) -> Result<bool> {
        self.open_or_err()?;
        let turn = self.segment().header().rules_turn.load(Acquire);
        let known = self.wants_load.load(Acquire);
        if known >> 1 == turn {
            return Ok(known & 1 == 1);
        }
        let rules = self.rules_in_force(&self.locked()?)?;
        let wanted = rules.want_load();
        self.wants_load.store(rules.turn() << 1 | u64::from(wanted), Release);
        Ok(wanted)
    }
}
