//! Retries and hedges of a guard: around its pipeline, paid from the guard's budget, which all processes share.

use super::extra::{Further, HEDGES, RETRIED, RETRIES, State};
use super::handle::Guard;
use super::known::Facts;
use super::numbers::ExtraBlock;
use super::{Call, Outcome};
use crate::clock::ticks;
use crate::deadline;
use crate::error::ErrorKind;
use crate::hash::mix;
use crate::retry::budget::{Budget, Exhausted};
use crate::retry::hedge::Hedge;
use crate::retry::plan::{Attempt, Decision, End, Plan, Reason, Retry, Traits};
use crate::retry::quantile;
use crate::runtime::Local;
use crate::slot::lane::Count;
use std::ptr::from_ref;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How often an answer is asked for again when rules change under it.
const TRIES: usize = 16;

/// The retries of one logical call: plain data of its caller's, sealed so that garbage is told from it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Retrying {
    seal: u64,
    guard: *const Guard,
    deadline_ns: u64,
    /// How the last attempt ended that another followed, + 1; 0: none did.
    last: u64,
    retry: Retry,
}

/// The hedges of one logical call, likewise.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Hedging {
    seal: u64,
    guard: *const Guard,
    deadline_ns: u64,
    last_sent: u64,
    hedges: u32,
    taken: u32,
    traits: Traits,
}

// SAFETY: the pointers are to handles that are never unmapped and may be used by any thread.
unsafe impl Send for Retrying {}
// SAFETY: as above.
unsafe impl Send for Hedging {}

const RETRY_SEAL: u64 = u64::from_le_bytes(*b"tg_retry");
const HEDGE_SEAL: u64 = u64::from_le_bytes(*b"tg_hedge");

#[inline(always)]
fn seal(kind: u64, guard: *const Guard) -> u64 {
    kind ^ (guard as u64).rotate_left(8)
}

impl Retrying {
    /// Whether the first two words of a caller's memory are those of one that was begun; if so, all of it is one.
    pub fn is_begun(words: [u64; 2]) -> bool {
        words[1] != 0 && words[0] == seal(RETRY_SEAL, words[1] as *const Guard)
    }
}

impl Hedging {
    /// As [`Retrying::is_begun`].
    pub fn is_begun(words: [u64; 2]) -> bool {
        words[1] != 0 && words[0] == seal(HEDGE_SEAL, words[1] as *const Guard)
    }
}

/// The guard behind a seal that is whole.
#[inline(always)]
fn behind(kind: u64, found: u64, guard: *const Guard) -> Result<&'static Guard, ErrorKind> {
    if guard.is_null() || found != seal(kind, guard) {
        return Err(ErrorKind::NotHeld);
    }
    // SAFETY: the seal is whole, so the handle is one of ours, and handles are never unmapped.
    Ok(unsafe { &*guard })
}

/// The time, for whoever needs to know: a reading of the clock costs as much as all else here.
#[derive(Clone, Copy)]
struct Moment {
    local: Option<&'static Local>,
    guard: &'static Guard,
}

impl Moment {
    #[inline(always)]
    fn now(self) -> u64 {
        self.local.map_or_else(|| self.guard.now(), |local| local.time_of(ticks()))
    }
}

impl Guard {
    /// Calls `then` with the guard's further disciplines, if it has any.
    #[inline(always)]
    fn with_further<T>(&'static self, then: impl FnOnce(Option<&Further<'_>>, Moment) -> T) -> Result<T, ErrorKind> {
        if let Some((local, known)) = self.known() {
            return Ok(then(known.facts().further().as_ref(), Moment { local: Some(local), guard: self }));
        }
        if !self.is_alive() {
            return Err(ErrorKind::Closed);
        }
        let moment = Moment { local: None, guard: self };
        Ok(self.look_up(|facts, _| then(facts.further().as_ref(), moment)))
    }

    /// Asks the budget until its word is of the rules in force.
    #[inline(always)]
    fn settled<T>(
        &'static self,
        mut ask: impl FnMut(Option<&Further<'_>>, Moment) -> Result<T, Exhausted>,
    ) -> Result<Option<T>, ErrorKind> {
        for _ in 0..TRIES {
            let answer = self.with_further(|further, moment| {
                let answer = ask(further, moment);
                if let (Err(Exhausted::Stale), Some(further)) = (&answer, further) {
                    bring_budget_over(further.numbers, further.state, moment.now());
                }
                answer
            })?;
            match answer {
                Ok(answer) => return Ok(Some(answer)),
                Err(Exhausted::Empty) => return Ok(None),
                Err(Exhausted::Stale) => {}
            }
        }
        Err(ErrorKind::Busy)
    }

    /// What the calling thread knows of it, and the time, where neither has to be found out first.
    #[inline(always)]
    fn at_once(&'static self) -> Option<(&'static Facts, u64)> {
        let (local, known) = self.known()?;
        Some((known.facts(), local.time_at_once(ticks())?))
    }

    /// A logical call begins: the budget hears of its first attempt. Tells when that was, and what `then` makes of it.
    #[inline(always)]
    fn begin_attempts<T>(&'static self, then: impl Fn(Option<&Further<'_>>, u64) -> T) -> Result<(u64, T), ErrorKind> {
        if let Some((facts, now)) = self.at_once() {
            let further = facts.further();
            let (budget, word) = budget_of(further.as_ref());
            if budget.begin(word, now).is_ok() {
                return Ok((now, then(further.as_ref(), now)));
            }
        }
        self.begin_attempts_with_care(then)
    }

    #[inline(never)]
    fn begin_attempts_with_care<T>(
        &'static self,
        then: impl Fn(Option<&Further<'_>>, u64) -> T,
    ) -> Result<(u64, T), ErrorKind> {
        let begun = self.settled(|further, moment| {
            let ((budget, word), now) = (budget_of(further), moment.now());
            budget.begin(word, now).map(|()| (now, then(further, now)))
        })?;
        begun.ok_or(ErrorKind::Internal)
    }

    /// Begins a logical call that may be made more than once: its first attempt earns the budget its share. `key` and
    /// `attributes` are not looked at. **Hot.**
    ///
    /// # Errors
    /// The guard is gone, or its rules change all the time.
    #[inline(always)]
    pub fn begin_retry(&'static self, call: &Call<'_>) -> Result<Retrying, ErrorKind> {
        let (now, seed_of_waits) = self.begin_attempts(|further, now| self.seed(further, now))?;
        let (retry, deadline_ns) = (Retry::new(traits_of(call), seed_of_waits, now), deadline_of(call, now));
        Ok(Retrying { seal: seal(RETRY_SEAL, self), guard: self, deadline_ns, last: 0, retry })
    }

    /// Begins a logical call that may be hedged: it earns the budget its share. The first attempt counts as sent now. **Hot.**
    ///
    /// # Errors
    /// As [`Guard::begin_retry`].
    #[inline(always)]
    pub fn begin_hedge(&'static self, call: &Call<'_>) -> Result<Hedging, ErrorKind> {
        let (last_sent, ()) = self.begin_attempts(|_, _| ())?;
        let (deadline_ns, traits) = (deadline_of(call, last_sent), traits_of(call));
        Ok(Hedging { seal: seal(HEDGE_SEAL, self), guard: self, deadline_ns, last_sent, hedges: 0, taken: 0, traits })
    }

    /// Decides the waits of a call that begins at `now`. On a virtual clock the same calls wait the same in every run and language;
    /// otherwise machines, threads and moments differ.
    #[inline(always)]
    fn seed(&self, further: Option<&Further<'_>>, now: u64) -> u64 {
        let header = self.view.header();
        if header.clock.is_virtual() {
            return mix(further.map_or(0, |further| further.state.budget[1].fetch_add(1, Relaxed)));
        }
        let lane = further.and_then(|further| further.second).map_or(0, |second| from_ref(second.word(0)) as u64);
        mix(header.boot[0].load(Relaxed) ^ now ^ lane.rotate_left(32))
    }
}

impl Retrying {
    /// Says what to do after an attempt. `retry_after_ns` is when the callee, or the stage that refused, said to come back, 0: it did
    /// not say, `u64::MAX`: never. **Hot.**
    ///
    /// # Errors
    /// It was never begun, or the guard is gone.
    #[inline]
    pub fn next(&mut self, attempt: Attempt, retry_after_ns: u64) -> Result<Decision, ErrorKind> {
        let guard = behind(RETRY_SEAL, self.seal, self.guard)?;
        if is_success(attempt) {
            return self.succeeded(guard);
        }
        let decision = match self.next_at_once(guard, attempt, retry_after_ns) {
            Some(decision) => decision,
            None => self.next_with_care(guard, attempt, retry_after_ns)?,
        };
        self.last = if matches!(decision, Decision::Retry { .. }) { class_of(attempt) as u64 + 1 } else { 0 };
        Ok(decision)
    }

    /// The decision on a thread that knows the guard, by a budget that is of the rules in force. None: nothing was done.
    #[inline(always)]
    fn next_at_once(&mut self, guard: &'static Guard, attempt: Attempt, retry_after_ns: u64) -> Option<Decision> {
        let (facts, now) = guard.at_once()?;
        let further = facts.further()?;
        let plan = further.plan().filter(|_| retry_after_ns != u64::MAX)?;
        let (budget, word) = budget_of(Some(&further));
        let end = End { attempt, retry_after_ns: known(retry_after_ns), now, deadline_ns: self.deadline_ns };
        let decision = self.retry.next(&plan, (&budget, word), end);
        if decision == Decision::Stale {
            return None;
        }
        further.count_decision(attempt, decision);
        Some(decision)
    }

    #[inline(never)]
    fn next_with_care(
        &mut self,
        guard: &'static Guard,
        attempt: Attempt,
        retry_after_ns: u64,
    ) -> Result<Decision, ErrorKind> {
        let (retry, deadline_ns) = (&mut self.retry, self.deadline_ns);
        let decided = guard.settled(|further, moment| {
            let (budget, word) = budget_of(further);
            let end = End { attempt, retry_after_ns: known(retry_after_ns), now: moment.now(), deadline_ns };
            let decision = match further.and_then(Further::plan) {
                _ if retry_after_ns == u64::MAX => Decision::Stop(Reason::NotRetryable),
                Some(plan) => retry.next(&plan, (&budget, word), end),
                None => Decision::Stop(Reason::Attempts),
            };
            if decision == Decision::Stale {
                return Err(Exhausted::Stale);
            }
            further.into_iter().for_each(|further| further.count_decision(attempt, decision));
            Ok(decision)
        })?;
        decided.ok_or(ErrorKind::Internal)
    }

    /// The last attempt was a success.
    #[inline(always)]
    fn succeeded(&mut self, guard: &'static Guard) -> Result<Decision, ErrorKind> {
        let (done, attempt) = (Decision::Stop(Reason::Done), Attempt::Ended(Outcome::Success));
        self.last = 0;
        match guard.known().map(|(_, known)| known.facts().further()) {
            Some(further) if !further.is_some_and(|further| further.hears_of_success()) => {
                further.into_iter().for_each(|further| further.count_decision(attempt, done));
                Ok(done)
            }
            _ => self.succeeded_with_care(guard),
        }
    }

    #[inline(never)]
    fn succeeded_with_care(&self, guard: &'static Guard) -> Result<Decision, ErrorKind> {
        let (done, attempt) = (Decision::Stop(Reason::Done), Attempt::Ended(Outcome::Success));
        guard.settled(|further, _| {
            let (budget, word) = budget_of(further);
            self.retry.succeed((&budget, word))?;
            further.into_iter().for_each(|further| further.count_decision(attempt, done));
            Ok(())
        })?;
        Ok(done)
    }

    /// The retry that was decided on last is not made: what it took goes back. **Hot.**
    ///
    /// # Errors
    /// As [`Retrying::next`].
    pub fn abandon(&mut self) -> Result<(), ErrorKind> {
        let guard = behind(RETRY_SEAL, self.seal, self.guard)?;
        let Some(class) = self.last.checked_sub(1) else { return Ok(()) };
        let mut retry = self.retry;
        guard.settled(|further, moment| {
            let (budget, word) = budget_of(further);
            retry.abandon((&budget, word), moment.now())?;
            let second = further.and_then(|further| further.second);
            second.into_iter().for_each(|second| {
                second.change(RETRIED + class as usize % 4, |n| n.wrapping_sub(1));
                second.change(RETRIES, |n| n.wrapping_sub(1));
            });
            Ok(())
        })?;
        (self.retry, self.last) = (retry, 0);
        Ok(())
    }

    /// Attempts made, the one in progress included.
    pub fn attempts(&self) -> u32 {
        self.retry.attempts()
    }
}

/// What to do about a further attempt while others are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedged {
    /// Send one now: it is paid for.
    Send,
    /// Ask again after so many ns.
    Wait(u64),
    /// There is none: [`Reason::Attempts`], [`Reason::Deadline`], [`Reason::Budget`] or [`Reason::NotIdempotent`].
    Stop(Reason),
}

impl Hedging {
    /// Says whether another attempt is due. **Hot.**
    ///
    /// # Errors
    /// It was never begun, or the guard is gone.
    #[inline]
    pub fn ask(&mut self) -> Result<Hedged, ErrorKind> {
        let guard = behind(HEDGE_SEAL, self.seal, self.guard)?;
        if !self.traits.idempotent {
            return Ok(Hedged::Stop(Reason::NotIdempotent));
        }
        if let Some((facts, now)) = guard.at_once()
            && let Err(nothing_to_pay) = self.due(guard, facts.further().as_ref(), now)
        {
            return Ok(nothing_to_pay);
        }
        self.ask_with_care(guard)
    }

    #[inline(never)]
    fn ask_with_care(&mut self, guard: &'static Guard) -> Result<Hedged, ErrorKind> {
        let asked = guard.settled(|further, moment| {
            let now = moment.now();
            match self.due(guard, further, now) {
                Ok(Some(hedge)) => {
                    let (budget, word) = budget_of(further);
                    let taken = hedge.pay((&budget, word), self.traits.criticality, now)?;
                    further.and_then(|further| further.second).into_iter().for_each(|second| second.add(HEDGES, 1));
                    Ok((Hedged::Send, taken, now))
                }
                Ok(None) => Ok((Hedged::Stop(Reason::Attempts), 0, now)),
                Err(other) => Ok((other, 0, now)),
            }
        })?;
        let Some((hedged, taken, now)) = asked else { return Ok(Hedged::Stop(Reason::Budget)) };
        if hedged == Hedged::Send {
            (self.hedges, self.last_sent) = (self.hedges + 1, now);
            self.taken = self.taken.saturating_add(taken);
        }
        Ok(hedged)
    }

    /// The hedge that is due now; None: the guard has no hedges; Err: what else there is to do.
    #[inline(always)]
    fn due(&self, guard: &Guard, further: Option<&Further<'_>>, now: u64) -> Result<Option<Hedge>, Hedged> {
        let Some((hedge, millionths, further)) = further.and_then(|f| f.hedge().map(|(h, q)| (h, q, f))) else {
            return Ok(None);
        };
        let read = || quantile::read(&further.state.hedge[0], now, || guard.usual_ns(millionths, now));
        let live = if millionths == 0 { None } else { read() };
        match hedge.next(self.hedges, self.last_sent, live, now, self.deadline_ns) {
            Some(0) => Ok(Some(hedge)),
            Some(wait_ns) => Err(Hedged::Wait(wait_ns)),
            None if hedge.allows(self.hedges) => Err(Hedged::Stop(Reason::Deadline)),
            None => Err(Hedged::Stop(Reason::Attempts)),
        }
    }

    /// The call has ended, with the outcome of the answer that counts. **Hot.**
    ///
    /// # Errors
    /// As [`Hedging::ask`].
    #[inline]
    pub fn end(&mut self, outcome: Outcome) -> Result<(), ErrorKind> {
        let guard = behind(HEDGE_SEAL, self.seal, self.guard)?;
        let taken = std::mem::take(&mut self.taken);
        self.seal = 0;
        let knows = guard.known().and_then(|(_, known)| known.facts().further());
        if knows.is_some_and(|further| outcome != Outcome::Success || !further.hears_of_success()) {
            return Ok(());
        }
        end_with_care(guard, taken, outcome)
    }
}

#[inline(never)]
fn end_with_care(guard: &'static Guard, taken: u32, outcome: Outcome) -> Result<(), ErrorKind> {
    guard.settled(|further, _| {
        let (budget, word) = budget_of(further);
        if outcome == Outcome::Success { budget.succeed(word, taken) } else { Ok(()) }
    })?;
    Ok(())
}

impl Further<'_> {
    /// Whether success says anything to the budget.
    #[inline(always)]
    fn hears_of_success(&self) -> bool {
        Budget::of(self.numbers.budget()).hears_of_success()
    }

    #[inline(always)]
    fn plan(&self) -> Option<Plan> {
        let words = self.numbers.retry();
        // No plan is without attempts.
        (words[3] != 0).then(|| Plan::of(words))
    }

    #[inline(always)]
    fn hedge(&self) -> Option<(Hedge, u64)> {
        let words = self.numbers.hedge();
        (words[0] != 0).then(|| (Hedge::of(words), words[7]))
    }

    #[inline(always)]
    fn count_decision(&self, attempt: Attempt, decision: Decision) {
        let Some(second) = self.second else { return };
        match decision {
            Decision::Retry { .. } => {
                second.add(RETRIES, 1);
                second.add(RETRIED + class_of(attempt), 1);
            }
            Decision::Stop(reason) => second.add(RETRIES + 1 + reason as usize, 1),
            Decision::Stale => {}
        }
    }
}

/// Makes the budget's word one of these numbers: what it holds stays where both are of one kind; without a budget nothing
/// does.
pub(crate) fn bring_budget_over(numbers: &ExtraBlock, state: &State, now: u64) {
    let (budget, before) = (Budget::of(numbers.budget()), Budget::of(numbers.budget_before()));
    let word = &state.budget[0];
    let seen = word.load(Acquire);
    let next = match budget {
        Budget::Unlimited => 0,
        _ if budget.owns(seen) => return,
        _ if before.owns(seen) => {
            Some(budget.rescale(&before, seen, now)).filter(|&next| budget.owns(next)).unwrap_or(0)
        }
        _ => 0,
    };
    // Failing means that another was faster; whoever meets the word again tries again.
    let _ = word.compare_exchange(seen, next, AcqRel, Acquire);
}

/// Stands in where a guard has no budget: nothing is changed in it.
static NO_WORD: AtomicU64 = AtomicU64::new(0);

/// The budget and its word.
#[inline(always)]
fn budget_of<'a>(further: Option<&Further<'a>>) -> (Budget, &'a AtomicU64) {
    match further {
        Some(further) => (Budget::of(further.numbers.budget()), &further.state.budget[0]),
        None => (Budget::Unlimited, &NO_WORD),
    }
}

#[inline(always)]
fn traits_of(call: &Call<'_>) -> Traits {
    Traits { criticality: call.criticality, idempotent: !call.once }
}

#[inline(always)]
fn deadline_of(call: &Call<'_>, now: u64) -> u64 {
    let own = if call.timeout_ns == 0 { deadline::NONE } else { deadline::after(now, call.timeout_ns) };
    deadline::earliest([own, call.deadline_ns])
}

#[inline(always)]
fn known(retry_after_ns: u64) -> Option<u64> {
    Some(retry_after_ns).filter(|&ns| ns != 0)
}

#[inline(always)]
fn is_success(attempt: Attempt) -> bool {
    attempt == Attempt::Ended(Outcome::Success)
}

/// The place in [`RETRIED`].
#[inline(always)]
fn class_of(attempt: Attempt) -> usize {
    match attempt {
        Attempt::Ended(Outcome::Timeout) => 1,
        Attempt::Ended(Outcome::Overloaded) => 2,
        Attempt::Ended(_) => 0,
        Attempt::Refused => 3,
    }
}
