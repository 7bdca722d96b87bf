//! Entering a guard.
//!
//! What the stages take and find stays in registers and is written into the permit once, at the end: a store
//! before a locked instruction has to be drained by it. So `pass` is one function of plain locals, and what is
//! not the common way is handed over by value to functions that are not inlined.

use super::cell::{EXPIRED, HELD, MAX_RATES, RUN, SHADOWED};
use super::handle::Guard;
use super::known::Facts;
use super::numbers::Block;
use super::permit::{JUDGED, Marks, PROBE, Permit, PermitState, seal_in};
use super::policy_stage::{Said, key_hash};
use super::turned_away::{Ended, Taken};
use super::{Call, NotEntered, Stage};
use crate::breaker::state::{self, Admission};
use crate::concurrency::fixed::{self, Held, PENDING};
use crate::error::ErrorKind;
use crate::rate::token_bucket::Refusal;
use crate::rules::Mode;
use crate::runtime::current;
use crate::slot::lane::{Count, Run};
use std::sync::atomic::Ordering::*;

impl Guard {
    /// Asks to pass. On `Ok` the permit holds a place until [`Permit::exit`]; it is initialised in any case. **Hot.**
    #[inline]
    pub fn enter(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        match self.known() {
            Some((local, known)) => self.pass(known.facts(), known.run(), self.now_by(local), call, permit),
            None => self.enter_anew(call, permit),
        }
    }

    /// Enters on a thread that does not know the guard, or not as it is now.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_anew(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if !self.is_alive() {
            *permit = Permit::default();
            return Err(NotEntered::Failed(ErrorKind::Closed));
        }
        self.look_up(|facts, run| self.pass(facts, run, self.now(), call, permit))
    }

    /// Calls `then` with what the calling thread knows of the guard, looked up. It is remembered where the thread's
    /// lane is its own.
    pub(super) fn look_up<T>(&'static self, then: impl FnOnce(&Facts, Run<'static>) -> T) -> T {
        let local = current(self.shared);
        let run = local.run(self.place, RUN, &self.cell().cell.generation, self.generation);
        match run.own() {
            Some(own) => then(local.known(self.index.into()).learn(self, own, local.token), run),
            None => then(&Facts::of(self, local.token), run),
        }
    }

    /// The pipeline.
    #[inline(always)]
    fn pass(
        &'static self,
        facts: &Facts,
        run: impl Count<'static> + Into<Run<'static>>,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        let (numbers, flags, cost) = (facts.numbers(), facts.flags(), call.cost.max(1));
        let start = Taken::nothing(self, facts, run.into(), now, cost);

        let Some(deadline_ns) = deadline(numbers.timeout_ns(), call, now) else {
            return start.turn_away(Ended::by(Stage::Deadline), call, permit);
        };
        let (breaker, breaker_generation) = match flags.breaker() {
            Mode::Off => (0, 0),
            mode => match state::closed_generation(&self.cell().hot.breaker) {
                Some(generation) => (JUDGED, generation),
                None => match self.ask_open_breaker(numbers, run.into(), mode, now) {
                    Ok(asked) => asked,
                    Err(ended) => return start.turn_away(ended, call, permit),
                },
            },
        };
        let (mut wait_ns, mut route, mut observer) = (0, 0, 0);
        if flags.policy() != Mode::Off {
            match self.ask_policy(numbers, run.into(), call, now, deadline_ns) {
                Said::Go(go) => (wait_ns, route, observer) = (go.wait_ns, go.route, go.observer),
                Said::Deny { ended, observer } => {
                    let taken = Taken { breaker, breaker_generation, observer, ..start };
                    return taken.turn_away(ended, call, permit);
                }
            }
        }
        let epoch = match facts.epoch() {
            Some(epoch) => epoch,
            None => self.epoch(numbers, now),
        };
        let Some(place) = self.take_place(run, facts.limit(), epoch) else {
            let taken = Taken { breaker, breaker_generation, observer, ..start };
            return taken.turn_away(Ended::by(Stage::Concurrency), call, permit);
        };
        if flags.concurrency() == Mode::Shadow && place.inflight > numbers.limit() {
            shadowed(run.into(), Stage::Concurrency);
        }
        for index in 0..flags.rates() {
            if let Err(refusal) = self.take_tokens(numbers, run, index, now, cost) {
                let place = Some(place.epoch);
                let taken = Taken { breaker, breaker_generation, observer, place, rates: index, ..start };
                return taken.refused_by_rate(refusal, call, permit);
            }
        }
        if !start.is_current() {
            let (place, rates) = (Some(place.epoch), MAX_RATES);
            let taken = Taken { breaker, breaker_generation, observer, place, rates, ..start };
            return taken.turn_away(Ended::Again, call, permit);
        }
        permit.seal = seal_in(PermitState::Held, facts.seal(), now);
        permit.guard = self;
        permit.token = facts.token();
        permit.start_ns = now;
        permit.deadline_ns = deadline_ns;
        permit.wait_ns = wait_ns;
        permit.retry_after_ns = 0;
        permit.observer = observer;
        permit.key_hash = if observer == 0 { 0 } else { key_hash(call.key) };
        permit.cost = cost;
        (permit.reason, permit.route) = (0, route);
        permit.marks = Marks::held(place.epoch, breaker_generation, breaker, self.index, call.criticality as u8);
        Ok(())
    }

    /// Whether the call is judged and a probe, and the breaker's generation.
    #[cold]
    fn ask_open_breaker(&self, numbers: &Block, run: Run<'_>, mode: Mode, now: u64) -> Result<(u64, u64), Ended> {
        let (admission, _) = state::admit(&self.cell().hot.breaker, &numbers.timing(), now);
        match admission {
            Admission::Pass(generation) => Ok((JUDGED, generation)),
            Admission::Probe(generation) => Ok((JUDGED | PROBE, generation)),
            Admission::Refuse(retry_after_ns) if mode == Mode::Enforce => {
                Err(Ended::Refused { stage: Stage::Breaker, retry_after_ns, reason: 0 })
            }
            Admission::Refuse(_) => {
                shadowed(run, Stage::Breaker);
                Ok((0, 0))
            }
        }
    }

    #[inline(always)]
    fn take_place<'a>(&self, run: impl Count<'a>, limit: u64, epoch: u64) -> Option<fixed::Taken> {
        let seen = mark_pending(run);
        let taken = fixed::take(&self.cell().hot.concurrency, limit, epoch).ok();
        match taken {
            Some(taken) => {
                settle(run, seen, |word| Held::plus_one(word, taken.epoch));
                if taken.expired != 0 {
                    run.add(EXPIRED, taken.expired);
                }
            }
            None => settle(run, seen, |word| word),
        }
        taken
    }

    #[inline(always)]
    fn take_tokens(
        &self,
        numbers: &Block,
        run: impl Into<Run<'static>>,
        index: usize,
        now: u64,
        cost: u64,
    ) -> Result<(), Refusal> {
        let mode = numbers.rate_mode(index);
        if mode == Mode::Off {
            return Ok(());
        }
        let word = &self.cell().hot.rates[index % MAX_RATES];
        match numbers.bucket(index).take(word, now, cost) {
            Err(Refusal::Empty(_) | Refusal::Never) if mode == Mode::Shadow => {
                shadowed(run.into(), Stage::Rate);
                Ok(())
            }
            answer => answer,
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

/// Says in the slot's own word that the shared one is about to change; and tells what the word was.
#[inline(always)]
fn mark_pending<'a>(run: impl Count<'a>) -> u64 {
    let word = run.word(HELD);
    let seen = word.load(Relaxed) & !PENDING;
    if !run.is_shared() {
        word.store(seen | PENDING, Relaxed);
    }
    seen
}

/// Takes the mark away, and changes the word as the shared one was. `seen` is what it was when it was marked.
#[inline(always)]
fn settle<'a>(run: impl Count<'a>, seen: u64, step: impl Fn(u64) -> u64) {
    if run.is_shared() {
        run.change(HELD, step);
    } else {
        run.word(HELD).store(step(seen), Release);
    }
}

/// Gives a place in flight back; false when `max_hold` had done so.
#[inline(always)]
pub(super) fn give_place_back<'a>(guard: &Guard, run: impl Count<'a>, epoch: u64) -> bool {
    let seen = mark_pending(run);
    match fixed::give_back(&guard.cell().hot.concurrency, epoch) {
        Some(now) => {
            settle(run, seen, |word| Held::minus_one(word, now, epoch));
            true
        }
        None => {
            settle(run, seen, |word| word);
            false
        }
    }
}
