//! Entering a guard by the whole pipeline.
//!
//! What the stages take and find stays in registers and is written into the permit once, at the end: a store
//! before a locked instruction has to be drained by it. So the stages of `pass` are inlined, and what is
//! not the common way is handed over by value to functions that are not inlined.

use super::cell::{RUN, SHADOWED};
use super::extra::Stages;
use super::handle::Guard;
use super::known::{Facts, Known};
use super::permit::{DELAYED, FOLLOWED, Permit, THROTTLED};
use super::taken::{Taken, Tokens};
use super::turned_away::Ended;
use super::{Call, NotEntered, Stage};
use crate::clock::ticks;
use crate::error::ErrorKind;
use crate::rules::Mode;
use crate::runtime::current;
use crate::slot::lane::{Count, Run};

impl Guard {
    /// Enters by the whole pipeline, on a thread that knows the guard. The call is plain.
    #[inline(never)]
    pub(super) fn enter_known(
        &'static self,
        known: &'static Known,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        self.pass::<false, true>(known.facts(), known.run().into(), now, call, permit)
    }

    /// Enters by the whole pipeline, with any call.
    #[inline(never)]
    pub(super) fn enter_whole(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let Some((local, known)) = self.known() else { return self.enter_anew(call, permit) };
        self.pass::<false, false>(known.facts(), known.run().into(), local.time_of(ticks()), call, permit)
    }

    /// Enters on a thread that does not know the guard, or not as it is now.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_anew(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if !self.is_alive() {
            *permit = Permit::default();
            return Err(NotEntered::Failed(ErrorKind::Closed));
        }
        self.look_up(|facts, run| self.pass_with_care(facts, run, self.now(), call, permit))
    }

    /// Calls `then` with what the calling thread knows of the guard, looked up. It is remembered where the thread's
    /// lane is its own.
    pub(super) fn look_up<T>(&'static self, then: impl FnOnce(&Facts, Run<'static>) -> T) -> T {
        let local = current(self.shared);
        let run = local.run(self.place, RUN, &self.cell().cell.generation, self.generation);
        let second = self.second(local);
        match run.own() {
            Some(own) => then(local.known(self.known_at).learn(self, own, second, local.token), run),
            None => then(&Facts::of(self, second, local.token), run),
        }
    }

    /// The pipeline. Without `ALL` it first makes sure that what is rare is not there. With `PLAIN` the call is known to be
    /// plain.
    #[inline(always)]
    fn pass<const ALL: bool, const PLAIN: bool>(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        let cost = if PLAIN { 1 } else { call.cost.max(1) };
        let mut taken = Taken::nothing(self, facts, run, now, cost);
        match taken.ask_stages::<ALL, PLAIN>(call) {
            Ok(true) => taken.ask_rates(call, permit),
            Ok(false) => self.pass_with_care(facts, run, now, call, permit),
            Err(ended) => taken.turn_away(ended, &Tokens::NONE, call, permit),
        }
    }

    /// The pipeline with all that there can be.
    #[inline(never)]
    fn pass_with_care(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        self.pass::<true, false>(facts, run, now, call, permit)
    }

    /// Takes a place in flight by a limit that neither adapts nor sheds.
    #[inline(always)]
    pub(super) fn take_place_by_number(&self, facts: &Facts, run: Run<'_>, now: u64) -> Result<u64, Stage> {
        let (epoch, is_shadow) = (facts.epoch(self, now), facts.flags().concurrency() == Mode::Shadow);
        if !is_shadow && self.take_place_alone(run, facts.limit(), epoch) {
            return Ok(epoch);
        }
        let place = self.take_place(run, facts.limit(), epoch).map_err(|_| Stage::Concurrency)?;
        if is_shadow && place.inflight > facts.numbers().limit() {
            shadowed(run, Stage::Concurrency);
        }
        Ok(place.epoch)
    }
}

impl Taken<'_> {
    /// Asks the stages before the rate limits, in their order, and keeps what they said. `Ok(false)`: it has met a fault that
    /// may hit, a breaker that is not closed or has to look at the calls that are running, or a policy, which only `ALL` asks;
    /// nothing was taken.
    #[inline(always)]
    fn ask_stages<const ALL: bool, const PLAIN: bool>(&mut self, call: &Call<'_>) -> Result<bool, Ended> {
        let Taken { guard, facts, run, now, .. } = *self;
        let flags = facts.flags();
        // First of all, as every stage is to be asked once.
        if !ALL && (flags.has_policy() || facts.may_be_hit(call)) {
            return Ok(false);
        }
        if !ALL && flags.has_breaker() {
            let Some(breaker) = guard.closed_breaker(facts, now) else { return Ok(false) };
            self.breaker = breaker;
        }
        let given = if PLAIN { const { &Call::PLAIN } } else { call };
        self.deadline_ns = deadline(facts.numbers().timeout_ns(), given, now).ok_or(Ended::by(Stage::Deadline))?;
        if facts.stages().has(Stages::TIME) {
            guard.ask_time(facts, run, now, self.deadline_ns)?;
        }
        if ALL {
            self.ask_rare_stages(call)?;
        }
        // Who watches the breaker may have changed the rules by now, and what is known of them with it.
        let mut stages = facts.stages();
        if stages.has(Stages::THROTTLE) && facts.ask_throttle(run, now)? {
            self.marks = self.marks.with(THROTTLED);
        }
        if ALL {
            self.ask_policy_and_wait(call)?;
            stages = facts.stages();
        }
        let place = match stages.has(Stages::LOAD) {
            true => guard.take_place_by_load(facts, run, call, now),
            false => guard.take_place_by_number(facts, run, now),
        };
        self.place = Some(place.map_err(Ended::by)?);
        Ok(true)
    }

    /// Faults, and the breaker in any state.
    #[inline(always)]
    fn ask_rare_stages(&mut self, call: &Call<'_>) -> Result<(), Ended> {
        let Taken { guard, facts, run, now, .. } = *self;
        if facts.stages().has(Stages::FAULTS) {
            self.delayed = guard.ask_faults(facts, run, call, now, self.deadline_ns)?;
        }
        if facts.flags().has_breaker() {
            (self.marks, self.breaker) = guard.ask_breaker(facts, run, now)?;
        }
        Ok(())
    }

    /// The policy, and what a fault or it has the call wait.
    #[inline(always)]
    fn ask_policy_and_wait(&mut self, call: &Call<'_>) -> Result<(), Ended> {
        if self.facts.flags().has_policy() {
            self.ask_policy(call)?;
        }
        if self.delayed.wait_ns != 0 {
            self.go.wait_ns = self.go.wait_ns.saturating_add(self.delayed.wait_ns);
            self.marks = self.marks.with(FOLLOWED | DELAYED);
        }
        Ok(())
    }

    /// Asks the rate limits, and ends.
    #[inline(always)]
    pub(super) fn ask_rates(self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let is_by_key = self.facts.stages().has(Stages::BY_KEY);
        match if is_by_key { self.takes_only_key_at_once(call) } else { self.takes_at_once() } {
            true => self.end(if is_by_key { &Tokens::ONE_OF_KEY } else { &Tokens::ONE }, call, permit),
            false => self.take_tokens(self.has_one_limit().into(), call, permit),
        }
    }
}

/// The earliest of the caller's and the rule's deadlines; 0: there is none. None: no time is left.
#[inline(always)]
fn deadline(timeout: u64, call: &Call<'_>, now: u64) -> Option<u64> {
    if timeout | call.timeout_ns | call.deadline_ns == 0 {
        return Some(0);
    }
    let from_now = |ns: u64| if ns == 0 { u64::MAX } else { now.saturating_add(ns) };
    let absolute = if call.deadline_ns == 0 { u64::MAX } else { call.deadline_ns };
    let deadline = absolute.min(from_now(timeout)).min(from_now(call.timeout_ns));
    (deadline > now).then_some(deadline)
}

/// Counts what a stage in shadow mode would have refused.
#[cold]
pub(super) fn shadowed(run: Run<'_>, stage: Stage) {
    run.add(SHADOWED + stage as usize, 1);
}
