//! Entering a guard.
//!
//! What the stages take and find stays in registers and is written into the permit once, at the end: a store
//! before a locked instruction has to be drained by it. So `pass` is one function of plain locals, and what is
//! not the common way is handed over by value to functions that are not inlined.

use super::cell::{EXPIRED, HELD, MAX_RATES, RUN, SHADOWED};
use super::handle::Guard;
use super::numbers::Block;
use super::permit::{JUDGED, PROBE, Permit, PermitState};
use super::policy_stage::{Said, key_hash};
use super::turned_away::{Ended, Taken};
use super::{Call, NotEntered, Stage};
use crate::breaker::state::{self, Admission};
use crate::concurrency::fixed::{self, Held, MAX_LIMIT, PENDING};
use crate::error::ErrorKind;
use crate::rate::token_bucket::Refusal;
use crate::rules::Mode;
use crate::runtime::{Local, current};
use crate::slot::lane::Run;

impl Guard {
    /// Asks to pass. On `Ok` the permit holds a place until [`Permit::exit`]; it is initialised in any case. **Hot.**
    #[inline]
    pub fn enter(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if !self.is_alive() {
            *permit = Permit::default();
            return Err(NotEntered::Failed(ErrorKind::Closed));
        }
        self.pass(current(self.shared), call, permit)
    }

    /// The pipeline.
    #[inline(always)]
    pub(super) fn pass(&'static self, local: &Local, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let numbers = self.numbers();
        let flags = numbers.flags();
        let run = local.run(self.place, RUN, &self.cell().cell.generation, self.generation);
        let (now, cost) = (self.now(), call.cost.max(1));
        let start = Taken::nothing(self, numbers, run, now, cost);

        let Some(deadline_ns) = deadline(numbers.timeout_ns(), call, now) else {
            return start.turn_away(Ended::by(Stage::Deadline), call, permit);
        };
        let (breaker, breaker_generation) = match flags.breaker() {
            Mode::Off => (0, 0),
            mode => match state::closed_generation(&self.cell().hot.breaker) {
                Some(generation) => (JUDGED, generation as u16),
                None => match self.ask_open_breaker(numbers, run, mode, now) {
                    Ok(asked) => asked,
                    Err(ended) => return start.turn_away(ended, call, permit),
                },
            },
        };
        let (mut wait_ns, mut route, mut observer) = (0, 0, 0);
        if flags.policy() != Mode::Off {
            match self.ask_policy(numbers, run, call, now, deadline_ns) {
                Said::Go(go) => (wait_ns, route, observer) = (go.wait_ns, go.route, go.observer),
                Said::Deny { ended, observer } => {
                    let taken = Taken { breaker, breaker_generation, observer, ..start };
                    return taken.turn_away(ended, call, permit);
                }
            }
        }
        let limit = if flags.concurrency() == Mode::Enforce { numbers.limit() } else { u64::from(MAX_LIMIT) };
        let Some(place) = self.take_place(run, limit, self.epoch(numbers, now)) else {
            let taken = Taken { breaker, breaker_generation, observer, ..start };
            return taken.turn_away(Ended::by(Stage::Concurrency), call, permit);
        };
        if flags.concurrency() == Mode::Shadow && place.inflight > numbers.limit() {
            shadowed(run, Stage::Concurrency);
        }
        let hold_epoch = place.epoch as u16;
        for index in 0..flags.rates() {
            if let Err(refusal) = self.take_tokens(numbers, run, index, now, cost) {
                let place = Some(hold_epoch);
                let taken = Taken { breaker, breaker_generation, observer, place, rates: index, ..start };
                return taken.refused_by_rate(refusal, call, permit);
            }
        }
        if !start.is_current() {
            let (place, rates) = (Some(hold_epoch), MAX_RATES);
            let taken = Taken { breaker, breaker_generation, observer, place, rates, ..start };
            return taken.turn_away(Ended::Again, call, permit);
        }
        *permit = Permit {
            guard: self,
            token: local.token,
            start_ns: now,
            deadline_ns,
            wait_ns,
            observer,
            key_hash: if observer == 0 { 0 } else { key_hash(call.key) },
            cost,
            route,
            hold_epoch,
            breaker_generation,
            flags: breaker,
            criticality: call.criticality as u8,
            ..Permit::default()
        };
        permit.seal_as(PermitState::Held);
        Ok(())
    }

    /// Whether the call is judged and a probe, and the breaker's generation.
    #[cold]
    fn ask_open_breaker(&self, numbers: &Block, run: Run<'_>, mode: Mode, now: u64) -> Result<(u8, u16), Ended> {
        let (admission, _) = state::admit(&self.cell().hot.breaker, &numbers.timing(), now);
        match admission {
            Admission::Pass(generation) => Ok((JUDGED, generation as u16)),
            Admission::Probe(generation) => Ok((JUDGED | PROBE, generation as u16)),
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
    fn take_place(&self, run: Run<'_>, limit: u64, epoch: u64) -> Option<fixed::Taken> {
        mark_pending(run);
        let taken = fixed::take(&self.cell().hot.concurrency, limit, epoch).ok();
        match taken {
            Some(taken) => {
                run.change(HELD, |word| Held::plus_one(word, taken.epoch));
                if taken.expired != 0 {
                    run.add(EXPIRED, taken.expired);
                }
            }
            None => run.change(HELD, |word| word & !PENDING),
        }
        taken
    }

    #[inline(always)]
    fn take_tokens(&self, numbers: &Block, run: Run<'_>, index: usize, now: u64, cost: u64) -> Result<(), Refusal> {
        let mode = numbers.rate_mode(index);
        if mode == Mode::Off {
            return Ok(());
        }
        let word = &self.cell().hot.rates[index % MAX_RATES];
        match numbers.bucket(index).take(word, now, cost) {
            Err(Refusal::Empty(_) | Refusal::Never) if mode == Mode::Shadow => {
                shadowed(run, Stage::Rate);
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

/// Says in the slot's own word that the shared one is about to change.
#[inline(always)]
fn mark_pending(run: Run<'_>) {
    if !run.is_shared() {
        run.change(HELD, |word| word | PENDING);
    }
}

/// Gives a place in flight back; false when `max_hold` had done so.
#[inline(always)]
pub(super) fn give_place_back(guard: &Guard, run: Run<'_>, epoch: u64) -> bool {
    mark_pending(run);
    let given = fixed::give_back(&guard.cell().hot.concurrency, epoch);
    run.change(HELD, |word| match given {
        Some(now) => Held::minus_one(word, now, epoch),
        None => word & !PENDING,
    });
    given.is_some()
}
