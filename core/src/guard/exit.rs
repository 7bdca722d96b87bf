//! Giving a permit back.

use super::cell::{CALLS, LATENCY, MISUSED, RUN};
use super::concurrency_stage::{give_place_back, give_place_back_alone};
use super::extra::Stages;
use super::handle::Guard;
use super::known::{Facts, Known};
use super::permit::{DELAYED, FOLLOWED, JUDGED, MORE, PROBE, Permit, PermitState, THROTTLED};
use super::turned_away::record_of;
use super::{Outcome, cell};
use crate::clock::ticks;
use crate::error::ErrorKind;
use crate::metrics::histogram;
use crate::runtime::{Local, current, latest};
use crate::slot::lane::{Count, Run};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Exits of permits that name no guard.
static NAMELESS_EXITS: AtomicU64 = AtomicU64::new(0);

/// How often something was exited that never was a permit, in this process.
pub fn nameless_exits() -> u64 {
    NAMELESS_EXITS.load(Relaxed)
}

/// Where the plain way of an exit ended. Two registers.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Unended {
    /// When the call ended, in ticks.
    ticks: u64,
    done: Part,
}

/// How far the plain way went.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Part {
    Nothing,
    /// The permit is sealed as exited, and its place given back.
    Place,
    /// And the end of the call counted, for the breaker too; of its duration only the sum.
    Count,
}

impl Permit {
    /// Gives the permit back and tells how the call ended. A permit that holds nothing, or was entered by another
    /// process, is left as it is and counted. **Hot.**
    #[inline(always)]
    pub fn exit(&mut self, outcome: Outcome) -> Result<(), ErrorKind> {
        let ticks = ticks();
        if outcome != Outcome::Success {
            return self.exit_at(ticks, outcome);
        }
        self.end_well::<false, ErrorKind>(ticks, |permit, unended| permit.exit_after(unended, Outcome::Success))
    }

    /// The end of what most calls are: well, of a guard that the thread knows and that has nothing but the plain stages, with
    /// nothing to be found out or made first. What else it meets it leaves to [`Permit::exit_after`], which has to be called
    /// then. It calls nothing, so that its caller needs no stack for it.
    #[inline(always)]
    pub fn exit_plain(&mut self) -> Result<(), Unended> {
        // First of all: from here on the end of the call is known, whatever else there is to do.
        let ticks = ticks();
        self.end_well::<false, Unended>(ticks, |_, unended| Err(unended))
    }

    /// The same, with `FURTHER` of a guard that has further stages; and `then` where it stops.
    #[inline(always)]
    fn end_well<const FURTHER: bool, E>(
        &mut self,
        ticks: u64,
        then: impl Fn(&mut Permit, Unended) -> Result<(), E>,
    ) -> Result<(), E> {
        let stop = |permit: &mut Permit, done| then(permit, Unended { ticks, done });
        if self.marks.has(PROBE | FOLLOWED | DELAYED | if FURTHER { 0 } else { MORE }) {
            return stop(self, Part::Nothing);
        }
        let Some((guard, local, known)) = self.known() else { return stop(self, Part::Nothing) };
        let (facts, run) = (known.facts(), known.run());
        let Some(now) = local.time_at_once(ticks) else { return stop(self, Part::Nothing) };
        // What the permit says is believed once its seal is as this process makes it for that guard.
        if !self.is_held(facts.token(), facts.seal()) || !give_place_back_alone(guard, run, self.epoch) {
            return stop(self, Part::Nothing);
        }
        // A locked instruction waits for what stands before it: so what needs the time comes after it.
        self.seal_as_exited(facts.seal());
        let duration = now.saturating_sub(self.start_ns);
        if FURTHER && self.running != 0 {
            guard.end_running(facts, self);
        }
        if FURTHER {
            guard.tell_stages(facts, self, Outcome::Success, duration, now);
        }
        let end = (Outcome::Success, duration);
        if self.marks.has(JUDGED) && facts.flags().has_breaker() {
            if FURTHER && facts.takes_more_to_judge(end) {
                if !guard.counts_good_end(facts, self.breaker, end, now) {
                    guard.tell_whole_breaker(facts, run.into(), self.breaker, end, now);
                }
            } else {
                let Some(at) = guard.good_end_at(facts, run, self.breaker, now) else { return stop(self, Part::Place) };
                run.add(at, 1);
            }
        }
        run.add(CALLS + Outcome::Success as usize, 1);
        facts.latency.begin(run, LATENCY, duration);
        let Some(place) = facts.latency.place_of(duration) else { return stop(self, Part::Count) };
        facts.latency.count(run, LATENCY, place);
        Ok(())
    }

    /// Exits where the plain way ended.
    #[inline(always)]
    pub fn exit_after(&mut self, unended: Unended, outcome: Outcome) -> Result<(), ErrorKind> {
        match unended.done {
            Part::Nothing if outcome == Outcome::Success && self.marks.has(MORE) => self.exit_further(unended.ticks),
            Part::Nothing => self.exit_at(unended.ticks, outcome),
            done => self.exit_rest(unended.ticks, done, outcome),
        }
    }

    /// The end of a call that went well, of a guard that has further stages.
    #[inline(never)]
    fn exit_further(&mut self, ticks: u64) -> Result<(), ErrorKind> {
        self.end_well::<true, ErrorKind>(ticks, |permit, Unended { ticks, done }| match done {
            Part::Nothing => permit.exit_at(ticks, Outcome::Success),
            done => permit.exit_rest(ticks, done, Outcome::Success),
        })
    }

    /// What is left of an exit whose place is given back.
    #[cold]
    #[inline(never)]
    fn exit_rest(&self, ticks: u64, done: Part, outcome: Outcome) -> Result<(), ErrorKind> {
        self.with_guard(ticks, |guard, facts, run, now| match done {
            Part::Count => {
                facts.latency.count_anew(&guard.view, run, LATENCY, now.saturating_sub(self.start_ns));
            }
            _ => guard.count_end(facts, run, self, now, self.start_ns, outcome),
        });
        Ok(())
    }

    #[inline(never)]
    fn exit_at(&mut self, ticks: u64, outcome: Outcome) -> Result<(), ErrorKind> {
        match self.known() {
            Some((guard, local, known)) if self.is_held(known.facts().token(), known.facts().seal()) => {
                self.seal_as_exited(known.facts().seal());
                guard.exit(known.facts(), known.run().into(), local.time_of(ticks), self, outcome)
            }
            _ => self.exit_anew(outcome),
        }
    }

    /// Calls `then` with the guard of a permit whose seal was whole, and the time that these ticks stand for.
    fn with_guard(&self, ticks: u64, then: impl FnOnce(&'static Guard, &Facts, Run<'static>, u64)) {
        if let Some((guard, local, known)) = self.known() {
            return then(guard, known.facts(), known.run().into(), local.time_of(ticks));
        }
        // SAFETY: handles are never unmapped.
        let guard: &'static Guard = unsafe { &*self.guard };
        if guard.is_alive() {
            let now = current(guard.shared).time_of(ticks);
            guard.look_up(|facts, run| then(guard, facts, run, now));
        }
    }

    /// The guard that it names, when the calling thread remembers it as it is now.
    #[inline(always)]
    fn known(&self) -> Option<(&'static Guard, &'static Local, &'static Known)> {
        let local = latest()?;
        let known = local.known(self.marks.known_at());
        known.of(self.guard, local.changes()).map(|guard| (guard, local, known))
    }

    #[cold]
    fn exit_anew(&mut self, outcome: Outcome) -> Result<(), ErrorKind> {
        if self.state() != PermitState::Held {
            return Err(self.misused());
        }
        // SAFETY: the seal is whole, so the handle is one of ours, and handles are never unmapped.
        let guard: &'static Guard = unsafe { &*self.guard };
        if !guard.is_alive() {
            self.seal_as(PermitState::Exited);
            return Err(ErrorKind::Closed);
        }
        let local = current(guard.shared);
        if self.token != local.token {
            guard.run(local).add(MISUSED, 1);
            return Err(ErrorKind::Foreign);
        }
        self.seal_as(PermitState::Exited);
        guard.look_up(|facts, run| guard.exit(facts, run, guard.now(), self, outcome))
    }

    #[cold]
    fn misused(&self) -> ErrorKind {
        if self.state() == PermitState::Zeroed {
            NAMELESS_EXITS.fetch_add(1, Relaxed);
            return ErrorKind::NotHeld;
        }
        // SAFETY: the seal is whole.
        let guard: &'static Guard = unsafe { &*self.guard };
        if guard.is_alive() {
            guard.run(current(guard.shared)).add(MISUSED, 1);
        }
        ErrorKind::NotHeld
    }
}

impl Guard {
    fn run<'a>(&self, local: &'a Local) -> Run<'a> {
        local.run(self.place, RUN, &self.cell().cell.generation, self.generation)
    }

    /// Ends any call.
    fn exit(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        now: u64,
        permit: &mut Permit,
        outcome: Outcome,
    ) -> Result<(), ErrorKind> {
        let held = give_place_back(self, run, permit.epoch);
        let mut started = permit.start_ns;
        if permit.marks.has(FOLLOWED | PROBE | DELAYED) {
            started = self.end_what_is_rare(facts, permit, now, outcome);
        }
        if permit.running != 0 {
            self.end_running(facts, permit);
        }
        match facts.stages() {
            Stages::NONE => self.count_end(facts, run, permit, now, started, outcome),
            _ => self.count_whole_end(facts, run, permit, now, started, outcome),
        }
        match held {
            true => Ok(()),
            // A runtime that was closed meanwhile reads as zeros.
            false if !self.is_alive() => Err(ErrorKind::Closed),
            false => Err(ErrorKind::Expired),
        }
    }

    /// Ends a probe, a delay, and what a policy or a wait said; and tells when the call began, after its wait.
    #[cold]
    fn end_what_is_rare(&'static self, facts: &Facts, permit: &Permit, now: u64, outcome: Outcome) -> u64 {
        let mut started = permit.start_ns;
        if permit.marks.has(FOLLOWED) {
            if outcome == Outcome::Cancelled && now < started.saturating_add(permit.wait_ns) {
                // It left while it waited for its turn.
                self.leave_rates(facts.numbers(), permit);
            }
            started = started.saturating_add(permit.wait_ns);
            self.tell_observer(permit, outcome, now.saturating_sub(started));
        }
        if permit.marks.has(PROBE) {
            self.end_probe(facts, permit.breaker, (outcome, now.saturating_sub(started)), now);
        }
        if permit.marks.has(DELAYED) {
            self.end_delay(permit.fault);
        }
        started
    }

    /// Counts a call that ended: for the breaker, by its outcome, by its duration.
    fn count_end(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        permit: &Permit,
        now: u64,
        started: u64,
        outcome: Outcome,
    ) {
        if judges(facts, permit, outcome) {
            self.tell_breaker(facts, run, permit.breaker, outcome, now);
        }
        self.count_outcome(facts, run, outcome, now.saturating_sub(started));
    }

    /// The same of a guard with further disciplines.
    #[inline(always)]
    fn count_whole_end(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        permit: &Permit,
        now: u64,
        started: u64,
        outcome: Outcome,
    ) {
        let duration = now.saturating_sub(started);
        if judges(facts, permit, outcome) {
            match facts.takes_more_to_judge((outcome, duration)) {
                true => self.tell_whole_breaker(facts, run, permit.breaker, (outcome, duration), now),
                false => self.tell_breaker(facts, run, permit.breaker, outcome, now),
            }
        }
        self.tell_stages(facts, permit, outcome, duration, now);
        self.count_outcome(facts, run, outcome, duration);
    }

    /// Tells the stages that learn from how calls end.
    #[inline(always)]
    fn tell_stages(&self, facts: &Facts, permit: &Permit, outcome: Outcome, duration: u64, now: u64) {
        if facts.stages().has(Stages::LOAD) {
            self.learn_load(facts, outcome, duration, now);
        }
        if permit.marks.has(THROTTLED) {
            facts.tell_throttle(outcome, permit.start_ns);
        }
    }

    /// Counts a call by its outcome, and one that came to its end by its duration.
    fn count_outcome(&'static self, facts: &Facts, run: Run<'static>, outcome: Outcome, duration: u64) {
        run.add(CALLS + outcome as usize, 1);
        if outcome != Outcome::Cancelled {
            histogram::record_ns(&self.view, run, LATENCY, duration, &facts.latency);
        }
    }

    fn tell_observer(&self, permit: &Permit, outcome: Outcome, duration: u64) {
        let observer = permit.followed.observer;
        if observer != 0 {
            self.tell_policy(observer, &record_of(permit), outcome as u8, duration);
        }
    }
}

/// Whether the breaker judges by this end.
fn judges(facts: &Facts, permit: &Permit, outcome: Outcome) -> bool {
    let judged = permit.marks.has(JUDGED) && !permit.marks.has(PROBE) && facts.flags().has_breaker();
    judged && outcome.is_judged()
}

const _: () = assert!(cell::CALLS + Outcome::ALL.len() == cell::REJECTED);
