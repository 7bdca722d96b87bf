//! Retries of a guard: around its pipeline, paid from the guard's budget.

use super::attempts::{Head, budget_of, traits_of};
use super::extra::{Further, RETRIED, RETRIES};
use super::handle::Guard;
use super::{Call, Outcome};
use crate::error::ErrorKind;
use crate::hash::mix;
use crate::retry::budget::Exhausted;
use crate::retry::plan::{Attempt, Decision, End, Plan, Reason, Retry};
use crate::slot::lane::Count;
use std::ptr::from_ref;
use std::sync::atomic::Ordering::*;

/// The retries of one logical call: plain data of its caller's.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Retrying {
    head: Head<SEAL>,
    /// How the last attempt ended that another followed, + 1; 0: none did.
    last: u64,
    retry: Retry,
}

const SEAL: u64 = u64::from_le_bytes(*b"tg_retry");

impl Guard {
    /// Begins a logical call that may be made more than once: its first attempt earns the budget its share. `key` and
    /// `attributes` are not looked at. **Hot.**
    ///
    /// # Errors
    /// The guard is gone, or its rules change all the time.
    #[inline(always)]
    pub fn begin_retry(&'static self, call: &Call<'_>) -> Result<Retrying, ErrorKind> {
        let (now, seed_of_waits) = self.begin_attempts(|further, now| self.seed(further, now))?;
        let retry = Retry::new(traits_of(call), seed_of_waits, now);
        Ok(Retrying { head: Head::of(self, call, now), last: 0, retry })
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
        // What is drawn is mixed.
        header.boot[0].load(Relaxed) ^ now ^ lane.rotate_left(32)
    }
}

impl Retrying {
    /// Whether the first two words of a caller's memory are those of one that was begun; if so, all of it is one.
    pub fn is_begun(words: [u64; 2]) -> bool {
        Head::<SEAL>::is_at(words)
    }

    /// Says what to do after an attempt. `retry_after_ns` is when the callee, or the stage that refused, said to come back, 0: it did
    /// not say, `u64::MAX`: never. **Hot.**
    ///
    /// # Errors
    /// It was never begun, or the guard is gone.
    #[inline]
    pub fn next(&mut self, attempt: Attempt, retry_after_ns: u64) -> Result<Decision, ErrorKind> {
        let guard = self.head.guard()?;
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
        let end = End { attempt, retry_after_ns: known(retry_after_ns), now, deadline_ns: self.head.deadline_ns };
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
        let (retry, deadline_ns) = (&mut self.retry, self.head.deadline_ns);
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
        let guard = self.head.guard()?;
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

impl Further<'_> {
    #[inline(always)]
    fn plan(&self) -> Option<Plan> {
        let words = self.numbers.retry();
        // No plan is without attempts.
        (words[3] != 0).then(|| Plan::of(words))
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
