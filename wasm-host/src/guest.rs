//! What travels with an instance: its limits, its subscription, and the call it is deciding.

use crate::attributes::IdSet;
use crate::deadline::{Allowance, Deadline};
use crate::error::PolicyError;
use crate::limiter::Rate;
use crate::state::{PolicyState, WORDS_MAX};
use std::sync::Arc;
use wasmtime::{Memory, ResourceLimiter};

/// The most elements of a guest's table.
const TABLE_MAX: usize = 16 << 10;

/// The data of one instance's store.
pub(crate) struct GuestState {
    pub host: Arc<PolicyState>,
    pub deadline: Deadline,
    /// The record's now; 0 in start and init.
    pub now_ns: u64,
    /// In start, arena and init: names may be interned.
    pub initialising: bool,
    /// The attributes that init asked for.
    pub wanted: IdSet,
    pub memory: Option<Memory>,
    /// A growth was refused since the last entry.
    pub memory_refused: bool,
    /// What the system refused to a growth since the last entry.
    pub system_refused: Option<PolicyError>,
    /// The memory may have moved since this was last cleared.
    pub memory_moved: bool,
    memory_max_bytes: usize,
    /// By the guest's limiter id: the host's limiter, and this generation's numbers for it.
    limiters: Vec<(usize, Rate)>,
}

impl GuestState {
    pub fn new(host: Arc<PolicyState>, memory_max_bytes: usize) -> Self {
        Self {
            host,
            deadline: Deadline::default(),
            now_ns: 0,
            initialising: true,
            wanted: IdSet::default(),
            memory: None,
            memory_refused: false,
            system_refused: None,
            memory_moved: true,
            memory_max_bytes,
            limiters: Vec::new(),
        }
    }

    /// **Hot.** Before an entry.
    #[inline]
    pub fn enter(&mut self, now_ns: u64, allowed: Allowance) {
        self.now_ns = now_ns;
        self.memory_refused = false;
        if self.system_refused.is_some() {
            self.system_refused = None;
        }
        self.deadline.start(allowed);
    }

    /// Adds a limiter; its id, or `None` when the guest has too many.
    pub fn add_limiter(&mut self, limiter: usize, rate: Rate) -> Option<i32> {
        if self.limiters.len() == WORDS_MAX {
            return None;
        }
        self.limiters.push((limiter, rate));
        Some(self.limiters.len() as i32 - 1)
    }

    /// **Hot.** Takes units of a limiter; `None` when there is no such limiter or cost.
    pub fn acquire(&self, id: i32, cost: i64) -> Option<bool> {
        let (limiter, rate) = self.limiters.get(usize::try_from(id).ok()?)?;
        let cost = u64::try_from(cost).ok()?;
        Some(self.host.limiter_acquire(*limiter, rate, self.now_ns, cost))
    }
}

impl ResourceLimiter for GuestState {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory_max_bytes;
        self.memory_refused |= !granted;
        self.memory_moved = true;
        Ok(granted)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.system_refused = PolicyError::of_system(&error);
        self.memory_refused |= self.system_refused.is_some();
        Ok(())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_MAX)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        8
    }
}
