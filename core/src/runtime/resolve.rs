//! From names to handles: the process's cache, then the segment's directory. **Cold.**

use super::publish::CompiledRules;
use super::shared::{Locked, Shared};
use crate::breaker::handle::CountedBreaker;
use crate::breaker::state::{self, Breaker};
use crate::concurrency::fixed::Held;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::begin_faults;
use crate::guard::cell::GuardCell;
use crate::guard::extra::State;
use crate::guard::handle::Guard;
use crate::guard::keyed_limit::KeyedLimit;
use crate::guard::numbers::Block;
use crate::guard::policy_stage::Bound;
use crate::limiter::Limiter;
use crate::metrics::instrument::Handle;
use crate::policy::Policy;
use crate::rules::Mode;
use crate::segment::Offset;
use crate::segment::directory::{Directory, Found, Kind};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// The guard that names beyond the limit share.
pub const OVERFLOW_GUARD: &str = "tidegate.overflow";

/// The longest guard name, in bytes.
const MAX_GUARD_NAME: usize = 128;

/// What this process has resolved.
#[derive(Default)]
pub struct Caches {
    guards: HashMap<String, &'static Guard>,
    instruments: HashMap<(Kind, String), &'static Handle>,
    pub(super) breakers: HashMap<String, &'static CountedBreaker>,
    policies: Vec<&'static Bound>,
    /// Limiters by name.
    pub(crate) limiters: HashMap<String, &'static Limiter>,
    /// Those without a name, by address.
    pub(crate) own_limiters: HashMap<usize, &'static Limiter>,
    keyed: Vec<&'static KeyedLimit<'static>>,
    pub(super) attributes: HashMap<String, u32>,
    /// The rules in force, compiled from their text.
    pub(super) rules: Option<Arc<CompiledRules>>,
}

impl Caches {
    pub(super) fn guards(&self) -> Vec<&'static Guard> {
        self.guards.values().copied().collect()
    }

    /// Tells which guards there were.
    pub(super) fn mark_all_dead(&mut self) -> Vec<&'static Guard> {
        let gone = std::mem::take(self);
        gone.guards.values().for_each(|guard| guard.mark_dead());
        gone.breakers.values().for_each(|breaker| _ = breaker.mark_dead());
        gone.limiters.values().for_each(|limiter| limiter.mark_dead());
        gone.own_limiters.values().for_each(|limiter| limiter.end_own());
        gone.instruments.values().for_each(|handle| handle.mark_dead());
        gone.guards.into_values().collect()
    }
}

impl Shared {
    pub(super) fn guard(&'static self, name: &str) -> Result<&'static Guard> {
        self.open_or_err()?;
        check_guard_name(name)?;
        let known = self.caches()?.guards.get(name).copied();
        if let Some(guard) = known.filter(|guard| guard.is_alive()) {
            return Ok(guard);
        }
        let locked = self.locked()?;
        let found = match Directory(self.segment()).find(Kind::Guard, name) {
            Some(found) => found,
            None => self.make_guard(&locked, name)?,
        };
        let shared_by_many = self.caches()?.guards.get(OVERFLOW_GUARD).copied().filter(|guard| guard.found() == found);
        if let Some(overflow) = shared_by_many {
            return Ok(overflow);
        }
        let guard = Guard::leak(self, found).ok_or_else(full)?;
        let before = self.caches()?.guards.insert(name.into(), guard);
        guard.prepare_keys();
        drop(locked);
        // One that another process retired. (One that stands is another thread's, who resolved it at the same moment.)
        before.into_iter().filter(|gone| !gone.is_alive()).for_each(|gone| {
            gone.mark_dead();
            gone.end_watches();
        });
        Ok(guard)
    }

    /// A new guard, or the overflow guard when there may be no more.
    pub(super) fn make_guard(&self, locked: &Locked<'_>, name: &str) -> Result<Found> {
        let (directory, header) = (Directory(self.segment()), self.segment().header());
        let overflow = || directory.find(Kind::Guard, OVERFLOW_GUARD).ok_or_else(full);
        if header.guards.load(Relaxed) > header.max_guards.load(Relaxed) {
            header.overflowed[Kind::Guard as usize].fetch_add(1, Relaxed);
            return overflow();
        }
        let rules = self.rules_in_force(locked)?;
        let now = self.clock().now();
        let Some(block) = self.block_for(&rules, name, None, now)? else { return overflow() };
        let made = directory.insert(Kind::Guard, name, "", |found, cell| {
            cell.words.iter().for_each(|word| word.store(block.into(), Relaxed));
            // Without room for their state its further disciplines are as good as off.
            self.has_room_for_state(found.at, block);
            self.start_guard(found, now);
            self.forget_transitions(found);
        });
        match made {
            Some(found) => {
                header.guards.fetch_add(1, Relaxed);
                Ok(found)
            }
            None => {
                self.free_block(block, &[]);
                overflow()
            }
        }
    }

    /// Puts a guard's timed state at its beginning; its breaker is closed in the next generation, so that no window of the
    /// last one counts.
    pub(super) fn start_again(&self, found: &Found, now: u64) {
        let Some(guard) = self.segment().at::<GuardCell>(found.at) else { return };
        let before = Breaker::of(guard.hot.breaker.load(Acquire));
        self.start_guard(found, now);
        guard.hot.breaker.store(before.reset(now).word(), Release);
    }

    /// A breaker that rules bring back begins closed, with an empty window: what it was when others took it out is long ago.
    /// To be called before those rules are in force, under the cold lock. What an operator forced stays.
    pub(super) fn start_breaker(&self, found: &Found, before: Offset, next: Offset, now: u64) {
        let mode = |at| self.segment().at::<Block>(at).map_or(Mode::Off, Block::breaker_mode);
        let Some(guard) = self.segment().at::<GuardCell>(found.at) else { return };
        if mode(before) == Mode::Off && mode(next) != Mode::Off {
            state::transition(&guard.hot.breaker, |seen| match seen.state.is_forced() {
                true => (seen, ()),
                false => (seen.reset(now), ()),
            });
            guard.hot.watch.store(0, Relaxed);
        }
    }

    /// Puts a guard's decision words at their beginning.
    pub(super) fn start_guard(&self, found: &Found, now: u64) {
        let Some(guard) = self.segment().at::<GuardCell>(found.at) else { return };
        let turn = self.segment().header().rules_turn.load(Acquire);
        let block = guard.cell.words[(turn & 1) as usize].load(Acquire);
        let hold = self.segment().at::<Block>(block as u32).map_or(0, |block| block.hold().epoch(now));
        let epoch = (hold + u64::from(found.generation)) & 0x7FFF;
        guard.hot.concurrency.store(Held { epoch, ..Held::default() }.word(), Relaxed);
        guard.hot.breaker.store(0, Relaxed);
        guard.hot.consecutive.store(0, Relaxed);
        guard.hot.watch.store(0, Relaxed);
        guard.hot.rates.iter().for_each(|rate| rate.store(0, Relaxed));
        if let Some(state) = self.segment().at::<State>(guard.extra.load(Acquire)) {
            state.clear();
            let numbers = self.segment().at::<Block>(block as u32).and_then(|block| self.segment().at(block.extra()));
            begin_faults(state, numbers, true, now);
        }
    }

    fn forget_transitions(&self, found: &Found) {
        if let Some(guard) = self.segment().at::<GuardCell>(found.at) {
            guard.transitions.iter().for_each(|count| count.store(0, Relaxed));
        }
    }

    pub(super) fn make_overflow_guard(&'static self) -> Result<()> {
        self.guard(OVERFLOW_GUARD).map(drop)
    }

    pub(crate) fn retire_guard(&self, guard: &Guard) -> Result<()> {
        let locked = self.locked()?;
        let directory = Directory(self.segment());
        let cell = directory.cell(guard.found().at).filter(|_| guard.is_alive()).ok_or_else(retired)?;
        let name = directory.name(cell);
        if name == OVERFLOW_GUARD {
            return Err(Error::new(ErrorKind::Invalid, "the overflow guard cannot be retired"));
        }
        let blocks = cell.words.each_ref().map(|word| word.load(Acquire) as u32);
        if directory.retire(guard.found()) {
            self.segment().header().guards.fetch_sub(1, Relaxed);
            if blocks[1] != blocks[0] {
                self.free_block(blocks[0], &[blocks[1]]);
            }
            self.free_block(blocks[1], &[]);
        }
        guard.mark_dead();
        drop(locked);
        self.caches()?.guards.remove(&name);
        guard.end_watches();
        Ok(())
    }

    pub(crate) fn guard_name(&self, guard: &Guard) -> Result<String> {
        let _locked = self.locked()?;
        let directory = Directory(self.segment());
        let cell = directory.cell(guard.found().at).filter(|_| guard.is_alive()).ok_or_else(retired)?;
        Ok(directory.name(cell))
    }

    /// The cold lock, for changes of the directory.
    pub(crate) fn lock_directory(&self) -> Result<Locked<'_>> {
        self.locked()
    }

    pub(crate) fn instrument(&self, key: &(Kind, String)) -> Result<Option<&'static Handle>> {
        Ok(self.caches()?.instruments.get(key).copied())
    }

    pub(crate) fn remember_instrument(&self, key: (Kind, String), handle: &'static Handle) -> Result<()> {
        self.caches()?.instruments.insert(key, handle);
        Ok(())
    }

    pub(crate) fn forget_instrument(&self, key: &(Kind, String)) -> Result<()> {
        self.caches()?.instruments.remove(key);
        Ok(())
    }

    pub(crate) fn reap_dead_for_snapshot(&self) -> Result<()> {
        self.reap_dead().map(drop)
    }

    /// One limit by key of what makes it, so that handles can point to it for good.
    pub(crate) fn intern_keyed(&self, limit: KeyedLimit<'static>) -> Result<&'static KeyedLimit<'static>> {
        let mut caches = self.caches()?;
        if let Some(known) = caches.keyed.iter().find(|known| known.is(&limit)) {
            return Ok(known);
        }
        let limit = limit.keep();
        caches.keyed.push(limit);
        Ok(limit)
    }

    /// One binding a policy, so that handles can point to it for good.
    pub(crate) fn intern_policy(&self, policy: Option<Arc<dyn Policy>>) -> Result<&'static Bound> {
        let mut caches = self.caches()?;
        if let Some(known) = caches.policies.iter().find(|bound| bound.is(&policy)) {
            return Ok(known);
        }
        let bound: &'static Bound = Box::leak(Box::new(Bound::new(policy)));
        caches.policies.push(bound);
        Ok(bound)
    }
}

pub(super) fn check_guard_name(name: &str) -> Result<()> {
    check_name("guard", name)
}

/// Whether a guard, a breaker or a limiter can be called so.
pub(crate) fn check_name(of: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_GUARD_NAME || name.chars().any(char::is_control) {
        let what =
            format!("{of} name: {} bytes; it must have 1 to {MAX_GUARD_NAME}, without control characters", name.len());
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(())
}

pub(crate) fn full() -> Error {
    Error::new(ErrorKind::Full, "the segment is full; open the runtime with more segment_bytes")
}

fn retired() -> Error {
    Error::new(ErrorKind::Closed, "the guard was retired")
}
