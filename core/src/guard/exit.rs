//! Giving a permit back.

use super::cell::{CALLS, LATENCY, MAX_RATES, MISUSED, RUN};
use super::concurrency_stage::{give_place_back, give_place_back_alone};
use super::extra::Further;
use super::handle::Guard;
use super::known::{Facts, Known};
use super::permit::{DELAYED, FOLLOWED, JUDGED, MORE, PROBE, Permit, PermitState, THROTTLED};
use super::turned_away::record_of;
use super::{Outcome, cell};
use crate::clock::ticks;
use crate::error::ErrorKind;
use crate::metrics::histogram;
use crate::runtime::{Local, current, latest};
use crate::slot::lane::{Count, Own, Run};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Exits of permits that name no guard.
static NAMELESS_EXITS: AtomicU64 = AtomicU64::new(0);

/// How often something was exited that never was a permit, in this process.
pub fn nameless_exits() -> u64 {
    NAMELESS_EXITS.load(Relaxed)
}

impl Permit {
    /// Gives the permit back and tells how the call ended. A permit that holds nothing, or was entered by another
    /// process, is left as it is and counted. **Hot.**
    #[inline]
    pub fn exit(&mut self, outcome: Outcome) -> Result<(), ErrorKind> {
        self.exit_inline(outcome)
    }

    /// The same, compiled into its caller, who knows the outcome.
    #[inline(always)]
    pub fn exit_inline(&mut self, outcome: Outcome) -> Result<(), ErrorKind> {
        // First of all: from here on the end of the call is known, whatever else there is to do.
        let ticks = ticks();
        match self.known() {
            // What the permit says is believed once its seal is as this process makes it for that guard.
            Some((guard, local, known)) if self.end(known.facts().token(), known.facts().seal()) => {
                guard.exit(known.facts(), known.run(), local.time_of(ticks), self, outcome)
            }
            _ => self.exit_anew(outcome),
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
    #[inline(never)]
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
        guard.look_up(|facts, run| guard.exit_any(facts, run, guard.now(), self, outcome))
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

    #[inline(always)]
    fn exit(
        &'static self,
        facts: &Facts,
        run: Own<'static, RUN>,
        now: u64,
        permit: &mut Permit,
        outcome: Outcome,
    ) -> Result<(), ErrorKind> {
        if permit.marks.has(PROBE | FOLLOWED | MORE) || !give_place_back_alone(self, run, permit.epoch) {
            return self.exit_any(facts, run.into(), now, permit, outcome);
        }
        self.count_end(facts, run, permit, now, permit.start_ns, outcome);
        Ok(())
    }

    /// The same of any call.
    #[inline(never)]
    fn exit_any(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        now: u64,
        permit: &mut Permit,
        outcome: Outcome,
    ) -> Result<(), ErrorKind> {
        let held = give_place_back(self, run, permit.epoch);
        let mut started = permit.start_ns;
        if permit.marks.has(FOLLOWED) {
            if outcome == Outcome::Cancelled && now < started.saturating_add(permit.wait_ns) {
                // It left while it waited for its turn. Where a rate follows another guard it had cost more: that part stays used.
                let (waits, costs) = ([permit.wait_ns; MAX_RATES], [permit.followed.cost; MAX_RATES]);
                self.give_rates_back(facts.numbers(), &waits, &costs, permit.start_ns);
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
        if permit.running != 0 {
            self.end_running(current(self.shared), permit);
        }
        match facts.further() {
            Some(further) => self.count_whole_end(facts, &further, run, permit, now, started, outcome),
            None => self.count_end(facts, run, permit, now, started, outcome),
        }
        match held {
            true => Ok(()),
            // A runtime that was closed meanwhile reads as zeros.
            false if !self.is_alive() => Err(ErrorKind::Closed),
            false => Err(ErrorKind::Expired),
        }
    }

    /// Counts a call that ended: for the breaker, by its outcome, by its duration.
    #[inline(always)]
    fn count_end<'a>(
        &'static self,
        facts: &Facts,
        run: impl Count<'a>,
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
    #[expect(clippy::too_many_arguments, reason = "what is known of the call is in registers")]
    fn count_whole_end(
        &'static self,
        facts: &Facts,
        further: &Further<'_>,
        run: Run<'static>,
        permit: &Permit,
        now: u64,
        started: u64,
        outcome: Outcome,
    ) {
        let duration = now.saturating_sub(started);
        if judges(facts, permit, outcome) {
            self.tell_whole_breaker(facts, further, run, permit.breaker, (outcome, duration), now);
        }
        self.learn_load(further, outcome, duration, now);
        if permit.marks.has(THROTTLED) {
            further.tell_throttle(outcome, permit.start_ns);
        }
        self.count_outcome(facts, run, outcome, duration);
    }

    /// Counts a call by its outcome, and one that came to its end by its duration.
    #[inline(always)]
    fn count_outcome<'a>(&'static self, facts: &Facts, run: impl Count<'a>, outcome: Outcome, duration: u64) {
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
#[inline(always)]
fn judges(facts: &Facts, permit: &Permit, outcome: Outcome) -> bool {
    let judged = permit.marks.has(JUDGED) && !permit.marks.has(PROBE) && facts.flags().has_breaker();
    judged && outcome.is_judged()
}

const _: () = assert!(cell::CALLS + Outcome::ALL.len() == cell::REJECTED);
