//! Entering a guard.
//!
//! What the stages take and find stays in registers and is written into the permit once, at the end: a store
//! before a locked instruction has to be drained by it. So `pass` is one function of plain locals, and what is
//! not the common way is handed over by value to functions that are not inlined.

use super::cell::{EXPIRED, HELD, MAX_RATES, RUN, SHADOWED};
use super::handle::Guard;
use super::known::Facts;
use super::numbers::Block;
use super::permit::{FOLLOWED, Followed, JUDGED, Marks, PROBE, Permit, PermitState, seal_in};
use super::policy_stage::{Go, Said, key_hash};
use super::turned_away::{Ended, Taken};
use super::{Call, NotEntered, Stage};
use crate::breaker::state::{self, Admission};
use crate::clock::ticks;
use crate::concurrency::fixed::{self, Held, PENDING};
use crate::error::ErrorKind;
use crate::rate::token_bucket::Refusal;
use crate::rules::Mode;
use crate::runtime::current;
use crate::slot::lane::{Count, Run};
use std::sync::atomic::Ordering::*;

/// For the calls and guards that most are: one token, no time limit, no policy, nothing in shadow mode.
const PLAIN: bool = true;
/// For any.
const ANY: bool = false;

impl Guard {
    /// Asks to pass. On `Ok` the permit holds a place until [`Permit::exit`]; it is initialised in any case. **Hot.**
    #[inline]
    pub fn enter(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        self.enter_inline(call, permit)
    }

    /// The same, compiled into its caller, who knows the call.
    #[inline(always)]
    pub fn enter_inline(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let Some((local, known)) = self.known() else { return self.enter_anew(call, permit) };
        let (now, facts) = (local.time_of(ticks()), known.facts());
        if facts.elaborate() | call.timeout_ns | call.deadline_ns | call.cost >> 1 == 0 {
            return self.pass::<PLAIN>(facts, known.run(), now, call, permit);
        }
        self.pass_any(facts, known.run().into(), now, call, permit)
    }

    /// Enters on a thread that does not know the guard, or not as it is now.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_anew(&'static self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        if !self.is_alive() {
            *permit = Permit::default();
            return Err(NotEntered::Failed(ErrorKind::Closed));
        }
        self.look_up(|facts, run| self.pass_any(facts, run, self.now(), call, permit))
    }

    /// Calls `then` with what the calling thread knows of the guard, looked up. It is remembered where the thread's
    /// lane is its own.
    pub(super) fn look_up<T>(&'static self, then: impl FnOnce(&Facts, Run<'static>) -> T) -> T {
        let local = current(self.shared);
        let run = local.run(self.place, RUN, &self.cell().cell.generation, self.generation);
        match run.own() {
            Some(own) => then(local.known(self.known_at).learn(self, own, local.token), run),
            None => then(&Facts::of(self, local.token), run),
        }
    }

    #[inline(never)]
    fn pass_any(
        &'static self,
        facts: &Facts,
        run: Run<'static>,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        self.pass::<ANY>(facts, run, now, call, permit)
    }

    /// The pipeline.
    #[inline(always)]
    fn pass<const KIND: bool>(
        &'static self,
        facts: &Facts,
        run: impl Count<'static> + Into<Run<'static>>,
        now: u64,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        let (flags, cost) = (facts.flags(), if KIND == PLAIN { 1 } else { call.cost.max(1) });
        let (mut deadline_ns, mut marks, mut breaker, mut go) = (0, facts.marks(), 0, Go::default());
        let nothing = || Taken::nothing(self, facts, run.into(), now, cost);

        if KIND == ANY {
            match deadline(facts.numbers().timeout_ns(), call, now) {
                Some(at) => deadline_ns = at,
                None => return nothing().turn_away(Ended::by(Stage::Deadline), call, permit),
            }
        }
        if flags.has_breaker() {
            breaker = self.cell().hot.breaker.load(Acquire);
            if !state::is_closed(breaker) {
                match self.ask_open_breaker(facts, run.into(), now) {
                    Ok(judged) => (marks, breaker) = judged,
                    Err(ended) => return nothing().turn_away(ended, call, permit),
                }
            }
        }
        if KIND == ANY && flags.has_policy() {
            match self.ask_policy(facts.numbers(), run.into(), call, now, deadline_ns) {
                Said::Go(said) => go = said,
                Said::Deny { ended, observer } => {
                    return Taken { marks, breaker, observer, ..nothing() }.turn_away(ended, call, permit);
                }
            }
            marks = marks.with(FOLLOWED).of_criticality(call.criticality as u8);
        }
        let so_far = || Taken { marks, breaker, observer: go.observer, ..nothing() };
        let Some(place) = self.take_place(run, facts.limit(), facts.epoch(self, now)) else {
            return so_far().turn_away(Ended::by(Stage::Concurrency), call, permit);
        };
        if KIND == ANY && flags.concurrency() == Mode::Shadow && place.inflight > facts.numbers().limit() {
            shadowed(run.into(), Stage::Concurrency);
        }
        if flags.has_rates()
            && !(KIND == PLAIN && facts.rate().take(&self.cell().hot.rates[0], now))
            && let Err((rates, refusal)) = self.take_tokens(facts.numbers(), run.into(), now, cost)
        {
            return Taken { place: Some(place.epoch), rates, ..so_far() }.refused_by_rate(refusal, call, permit);
        }
        if !self.is_as(facts) {
            let taken = Taken { place: Some(place.epoch), rates: MAX_RATES, ..so_far() };
            return taken.turn_away(Ended::Again, call, permit);
        }
        (permit.guard, permit.token, permit.start_ns) = (self, facts.token(), now);
        (permit.marks, permit.epoch, permit.breaker) = (marks, place.epoch, breaker);
        (permit.deadline_ns, permit.wait_ns, permit.route) = (deadline_ns, go.wait_ns, go.route);
        (permit.retry_after_ns, permit.reason) = (0, 0);
        if KIND == ANY && marks.has(FOLLOWED) {
            permit.followed = followed(&go, call.key, cost);
        }
        permit.seal = seal_in(PermitState::Held, facts.seal(), now);
        Ok(())
    }

    /// The marks of a call that may pass, and a word of the breaker's generation.
    #[cold]
    fn ask_open_breaker(&self, facts: &Facts, run: Run<'_>, now: u64) -> Result<(Marks, u64), Ended> {
        let (admission, _) = state::admit(&self.cell().hot.breaker, &facts.numbers().timing(), now);
        match admission {
            Admission::Pass(generation) => Ok((facts.marks(), state::word_of(generation))),
            Admission::Probe(generation) => Ok((facts.marks().with(PROBE), state::word_of(generation))),
            Admission::Refuse(retry_after_ns) if facts.flags().breaker() == Mode::Enforce => {
                Err(Ended::Refused { stage: Stage::Breaker, retry_after_ns, reason: 0 })
            }
            Admission::Refuse(_) => {
                shadowed(run, Stage::Breaker);
                Ok((facts.marks().without(JUDGED), 0))
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
            None => unmark(run),
        }
        taken
    }

    /// Takes what the call costs of every limit; Err tells which refused.
    #[inline(never)]
    fn take_tokens(&self, numbers: &Block, run: Run<'_>, now: u64, cost: u64) -> Result<(), (usize, Refusal)> {
        for (index, word) in self.cell().hot.rates.iter().enumerate().take(numbers.rate_count()) {
            let mode = numbers.rate_mode(index);
            if mode == Mode::Off {
                continue;
            }
            match numbers.bucket(index).take(word, now, cost) {
                Ok(()) => {}
                Err(Refusal::Empty(_) | Refusal::Never) if mode == Mode::Shadow => shadowed(run, Stage::Rate),
                Err(refusal) => return Err((index, refusal)),
            }
        }
        Ok(())
    }
}

/// What the policy's observer will be told.
fn followed(go: &Go, key: &[u8], cost: u64) -> Followed {
    let key_hash = if go.observer == 0 { 0 } else { key_hash(key) };
    Followed { observer: go.observer, key_hash, cost }
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
    let seen = word.load(Relaxed);
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

/// The same when the shared word stayed as it was.
#[cold]
fn unmark<'a>(run: impl Count<'a>) {
    run.change(HELD, |word| word & !PENDING);
}

/// Gives a place in flight back; false when `max_hold` had done so.
#[inline(always)]
pub(super) fn give_place_back<'a>(guard: &Guard, run: impl Count<'a>, epoch: u64) -> bool {
    let (seen, word) = (mark_pending(run), &guard.cell().hot.concurrency);
    if fixed::give_back_alone(word, epoch) {
        settle(run, seen, |word| Held::minus_one(word, epoch));
        return true;
    }
    match fixed::give_back(word, epoch) {
        Some(now) => {
            settle(run, seen, |word| Held::minus_one_across(word, now, epoch));
            true
        }
        None => {
            unmark(run);
            false
        }
    }
}
