//! What retries and hedges have in common: logical calls of one or more attempts, paid from the guard's budget, which all
//! processes share.

use super::Call;
use super::extra::{Further, State};
use super::handle::Guard;
use super::known::Facts;
use super::numbers::ExtraBlock;
use crate::clock::ticks;
use crate::deadline;
use crate::error::ErrorKind;
use crate::retry::budget::{Budget, Exhausted};
use crate::retry::plan::Traits;
use crate::runtime::Local;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How often an answer is asked for again when rules change under it.
const TRIES: usize = 16;

/// What stands at the head of a caller's memory that was begun on a guard, as something of KIND: sealed so that garbage is told
/// from it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<const KIND: u64> {
    seal: u64,
    guard: *const Guard,
    pub(super) deadline_ns: u64,
}

// SAFETY: the pointer is to a handle that is never unmapped and may be used by any thread.
unsafe impl<const KIND: u64> Send for Head<KIND> {}

impl<const KIND: u64> Head<KIND> {
    /// Of a call that begins now.
    #[inline(always)]
    pub(super) fn of(guard: &'static Guard, call: &Call<'_>, now: u64) -> Self {
        Head { seal: seal(KIND, guard), guard, deadline_ns: deadline_of(call, now) }
    }

    /// Whether the first two words of a caller's memory are those of one.
    pub(super) fn is_at([found, guard]: [u64; 2]) -> bool {
        is_whole(KIND, found, guard as *const Guard)
    }

    /// Its guard, where its seal is whole.
    #[inline(always)]
    pub(super) fn guard(&self) -> Result<&'static Guard, ErrorKind> {
        if !is_whole(KIND, self.seal, self.guard) {
            return Err(ErrorKind::NotHeld);
        }
        // SAFETY: the seal is whole, so the handle is one of ours, and handles are never unmapped.
        Ok(unsafe { &*self.guard })
    }

    /// Makes it nothing that was begun.
    pub(super) fn end(&mut self) {
        self.seal = 0;
    }
}

#[inline(always)]
fn seal(kind: u64, guard: *const Guard) -> u64 {
    kind ^ (guard as u64).rotate_left(8)
}

#[inline(always)]
fn is_whole(kind: u64, found: u64, guard: *const Guard) -> bool {
    !guard.is_null() && found == seal(kind, guard)
}

/// The time, for whoever needs to know: a reading of the clock costs as much as all else here.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    local: Option<&'static Local>,
    guard: &'static Guard,
}

impl Moment {
    #[inline(always)]
    pub(super) fn now(self) -> u64 {
        self.local.map_or_else(|| self.guard.now(), |local| local.time_of(ticks()))
    }
}

impl Guard {
    /// Calls `then` with the guard's further disciplines, if it has any.
    #[inline(always)]
    pub(super) fn with_further<T>(
        &'static self,
        then: impl FnOnce(Option<&Further<'_>>, Moment) -> T,
    ) -> Result<T, ErrorKind> {
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
    pub(super) fn settled<T>(
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
    pub(super) fn at_once(&'static self) -> Option<(&'static Facts, u64)> {
        let (local, known) = self.known()?;
        Some((known.facts(), local.time_at_once(ticks())?))
    }

    /// A logical call begins: the budget hears of its first attempt. Tells when that was, and what `then` makes of it.
    #[inline(always)]
    pub(super) fn begin_attempts<T>(
        &'static self,
        then: impl Fn(Option<&Further<'_>>, u64) -> T,
    ) -> Result<(u64, T), ErrorKind> {
        if let Some((facts, now)) = self.at_once() {
            let further = facts.further();
            let begin = |further: Further<'_>| {
                Budget::begin_by(further.numbers.budget(), &further.state.budget[0], now).is_ok()
            };
            if further.is_none_or(begin) {
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
}

impl Further<'_> {
    /// Whether success says anything to the budget.
    #[inline(always)]
    pub(super) fn hears_of_success(&self) -> bool {
        Budget::hears_of_success(self.numbers.budget_kind())
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
pub(super) fn budget_of<'a>(further: Option<&Further<'a>>) -> (Budget, &'a AtomicU64) {
    match further {
        Some(further) => (Budget::of(further.numbers.budget()), &further.state.budget[0]),
        None => (Budget::Unlimited, &NO_WORD),
    }
}

#[inline(always)]
pub(super) fn traits_of(call: &Call<'_>) -> Traits {
    Traits { criticality: call.criticality, idempotent: !call.once }
}

#[inline(always)]
fn deadline_of(call: &Call<'_>, now: u64) -> u64 {
    let own = if call.timeout_ns == 0 { deadline::NONE } else { deadline::after(now, call.timeout_ns) };
    deadline::earliest([own, call.deadline_ns])
}
