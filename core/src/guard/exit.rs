//! Giving a permit back.

use super::cell::{CALLS, LATENCY, MISUSED, RUN, WINDOW};
use super::enter::{give_place_back, give_place_back_alone};
use super::handle::Guard;
use super::known::{Facts, Known};
use super::numbers::Block;
use super::permit::{FOLLOWED, JUDGED, PROBE, Permit, PermitState};
use super::turned_away::record_of;
use super::{Outcome, cell};
use crate::breaker::consecutive;
use crate::breaker::state::{self, ProbeEnd, Reason};
use crate::breaker::window::{self, Place, Sum, Verdict};
use crate::clock::ticks;
use crate::error::ErrorKind;
use crate::metrics::histogram;
use crate::runtime::{Local, current, latest};
use crate::slot::lane::{Count, Own, Run, each_run};
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

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
        if permit.marks.has(PROBE | FOLLOWED) || !give_place_back_alone(self, run, permit.epoch) {
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
        if permit.marks.has(PROBE) {
            self.end_probe(facts.numbers(), permit.breaker, outcome, now);
        }
        let mut started = permit.start_ns;
        if permit.marks.has(FOLLOWED) {
            started = started.saturating_add(permit.wait_ns);
            self.tell_observer(permit, outcome, now.saturating_sub(started));
        }
        self.count_end(facts, run, permit, now, started, outcome);
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
        let judged = permit.marks.has(JUDGED) && !permit.marks.has(PROBE) && facts.flags().has_breaker();
        if judged && outcome.is_judged() {
            self.tell_breaker(facts, run, permit.breaker, outcome, now);
        }
        run.add(CALLS + outcome as usize, 1);
        if outcome != Outcome::Cancelled {
            histogram::record_ns(&self.view, run, LATENCY, now.saturating_sub(started), &facts.latency);
        }
    }

    fn tell_observer(&self, permit: &Permit, outcome: Outcome, duration: u64) {
        let observer = permit.followed.observer;
        if observer != 0 {
            self.tell_policy(observer, &record_of(permit), outcome as u8, duration);
        }
    }

    /// Counts a call that was judged in the generation that `breaker`, a word of it, is of.
    #[inline(always)]
    fn tell_breaker<'a>(&self, facts: &Facts, run: impl Count<'a>, breaker: u64, outcome: Outcome, now: u64) {
        let hot = &self.cell().hot;
        let current = hot.breaker.load(Relaxed);
        if current != breaker && state::generation_of(current) != state::generation_of(breaker) {
            return;
        }
        let place = Place::of(now, facts.window(), breaker);
        window::count(run, &facts.bucket, WINDOW, place, outcome.is_bad());
        if outcome.is_bad() {
            self.judge_failure(facts.numbers(), breaker, place, now);
        } else if hot.consecutive.load(Relaxed) | hot.watch.load(Relaxed) != 0 {
            self.end_failures(facts.numbers(), breaker, place, now);
        }
    }

    /// A call went well after others that had not.
    #[cold]
    fn end_failures(&self, numbers: &Block, breaker: u64, place: Place, now: u64) {
        let hot = &self.cell().hot;
        consecutive::succeeded(&hot.consecutive, &hot.breaker, state::generation_of(breaker));
        if hot.watch.load(Relaxed) == state::generation_of(breaker) + 1 {
            self.judge_window(numbers, breaker, place, now);
        }
    }

    #[cold]
    fn end_probe(&self, numbers: &Block, breaker: u64, outcome: Outcome, now: u64) {
        let end = match (outcome.is_judged(), outcome.is_bad()) {
            (false, _) => ProbeEnd::Unjudged,
            (true, true) => ProbeEnd::Failed,
            (true, false) => ProbeEnd::Passed,
        };
        let (timing, generation) = (numbers.timing(), state::generation_of(breaker));
        self.cell().note(state::end_probe(&self.cell().hot.breaker, &timing, generation, end, now));
    }

    #[cold]
    fn judge_failure(&self, numbers: &Block, breaker: u64, place: Place, now: u64) {
        let generation = state::generation_of(breaker);
        let (hot, most) = (&self.cell().hot, numbers.consecutive());
        let in_a_row = consecutive::failed(&hot.consecutive, &hot.breaker, generation);
        if most != 0 && in_a_row >= most {
            return self.trip(generation, Reason::FailuresInARow, now);
        }
        if numbers.threshold().looks_at_bad() {
            self.judge_window(numbers, breaker, place, now);
        }
    }

    /// Sums the slots' windows and opens when they are bad. The fence puts our own count before the sum, so that of
    /// two calls that end at once at least one sees both.
    #[cold]
    fn judge_window(&self, numbers: &Block, breaker: u64, place: Place, now: u64) {
        fence(SeqCst);
        let mut sum = Sum::default();
        each_run(self.shared.segment(), self.place, RUN, self.generation, |_, run| {
            window::add_up(&run[WINDOW..WINDOW + window::WORDS], place, &mut sum);
        });
        let (watch, generation) = (&self.cell().hot.watch, state::generation_of(breaker));
        match numbers.threshold().judge(sum) {
            Verdict::Bad(reason) => self.trip(generation, reason, now),
            Verdict::Undecided => watch.store(generation + 1, Relaxed),
            Verdict::Good if watch.load(Relaxed) != 0 => watch.store(0, Relaxed),
            Verdict::Good => {}
        }
    }

    #[cold]
    fn trip(&self, generation: u64, reason: Reason, now: u64) {
        self.cell().note(state::trip(&self.cell().hot.breaker, generation, reason, now));
        self.cell().hot.watch.store(0, Relaxed);
    }
}

const _: () = assert!(cell::CALLS + Outcome::ALL.len() == cell::REJECTED);
