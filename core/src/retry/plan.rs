//! The retries of one logical call: after each attempt, whether there is another, and after how long.
//!
//! [`Retry`] is the call's own plain data, on its caller's stack; the only thing shared is the budget's word.
//!
//! ```text
//! ended well ─▶ Done          class not retried ─▶ NotRetryable      not idempotent ─▶ NotIdempotent
//! max_attempts made ─▶ Attempts      wait over max_elapsed ─▶ Elapsed      wait to the deadline ─▶ Deadline
//! budget empty ─▶ Budget      else ─▶ wait, and try again
//! ```
//!
//! The budget is asked last, so that it pays for retries alone that are made.

use super::backoff::Backoff;
use super::budget::{Budget, Exhausted, Price};
use crate::guard::{Criticality, Outcome};
use crate::random::Draws;
use crate::word::Word;

/// What a rule says of retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    backoff: Backoff,
    max_attempts: u32,
    max_elapsed_ns: u64,
    retry_on: u8,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It was made, with this outcome.
    Ended(Outcome),
    /// We refused it ourselves: it never reached the callee.
    Refused,
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Success.
    Done = 0,
    /// Its class is not retried; of our own refusals those that do not say when to come back.
    NotRetryable = 1,
    /// `max_attempts` were made.
    Attempts = 2,
    /// It would begin later than `max_elapsed` after the first.
    Elapsed = 3,
    /// It would begin at the deadline or after it.
    Deadline = 4,
    /// The budget has nothing left for it.
    Budget = 5,
    /// The call may have had its effect, and must not have it twice.
    NotIdempotent = 6,
}

impl Reason {
    /// All, by number.
    pub const ALL: [Reason; 7] = [
        Reason::Done,
        Reason::NotRetryable,
        Reason::Attempts,
        Reason::Elapsed,
        Reason::Deadline,
        Reason::Budget,
        Reason::NotIdempotent,
    ];

    /// The name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Done => "done",
            Reason::NotRetryable => "not_retryable",
            Reason::Attempts => "attempts",
            Reason::Elapsed => "elapsed",
            Reason::Deadline => "deadline",
            Reason::Budget => "budget",
            Reason::NotIdempotent => "not_idempotent",
        }
    }
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this wait.
    Retry {
        /// In nanoseconds from now.
        wait_ns: u64,
    },
    /// The call is over, with what the last attempt gave.
    Stop(Reason),
    /// The rule has changed: load its numbers again and ask again. Nothing was done.
    Stale,
}

/// The classes of outcome that a retry may follow, as a set of bits.
const RETRYABLE: u8 = bit(Outcome::Failure) | bit(Outcome::Timeout) | bit(Outcome::Overloaded);

/// The place of an outcome in [`Plan::new`]'s `retry_on`.
pub const fn bit(outcome: Outcome) -> u8 {
    1 << outcome as u8
}

impl Plan {
    /// At most `max_attempts` attempts (the first one counts), none of them begun later than `max_elapsed_ns` after the first was (0:
    /// no such limit), after outcomes in `retry_on`, a sum of [`bit`]s.
    ///
    /// None when `max_attempts` is 0, or `retry_on` names anything but failure, timeout and overloaded.
    pub fn new(backoff: Backoff, max_attempts: u32, max_elapsed_ns: u64, retry_on: u8) -> Option<Plan> {
        let max_elapsed_ns = if max_elapsed_ns == 0 { u64::MAX } else { max_elapsed_ns };
        let sound = max_attempts > 0 && retry_on & !RETRYABLE == 0;
        sound.then_some(Plan { backoff, max_attempts, max_elapsed_ns, retry_on })
    }

    /// As plain words, for a block in the segment.
    pub fn words(&self) -> [u64; 8] {
        let [kinds, base, max] = self.backoff.words();
        let attempts = u64::from(self.max_attempts) | u64::from(self.retry_on) << 32;
        [kinds, base, max, attempts, self.max_elapsed_ns, 0, 0, 0]
    }

    /// From [`Plan::words`]; garbage gives some plan.
    #[inline(always)]
    pub fn of([kinds, base, max, attempts, max_elapsed_ns, ..]: [u64; 8]) -> Plan {
        let retry_on = (attempts >> 32) as u8 & RETRYABLE;
        Plan { backoff: Backoff::of([kinds, base, max]), max_attempts: attempts as u32, max_elapsed_ns, retry_on }
    }

    #[inline(always)]
    fn retries(&self, attempt: Attempt, retry_after_ns: Option<u64>) -> bool {
        match attempt {
            Attempt::Ended(outcome) => self.retry_on & bit(outcome) != 0,
            Attempt::Refused => retry_after_ns.is_some(),
        }
    }
}

/// What a logical call says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// By which the budget's reserves go.
    pub criticality: Criticality,
    /// Whether it may be made twice. If not, only what we refused ourselves is tried again.
    pub idempotent: bool,
}

/// An attempt's end, as [`Retry::next`] is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub attempt: Attempt,
    /// When the callee, or the stage that refused, said to come back, in nanoseconds from now.
    pub retry_after_ns: Option<u64>,
    /// The present.
    pub now: u64,
    /// The call's deadline on the same clock; 0: none.
    pub deadline_ns: u64,
}

/// The state of one logical call: plain data, its caller's own.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    begun: u64,
    draws: Draws,
    step_ns: u64,
    attempts: u32,
    /// What the last retry took from the budget.
    taken: u32,
    traits: Traits,
}

const _: () = assert!(size_of::<Retry>() <= 64);

impl Retry {
    /// Begins a call at `now`: its first attempt earns the budget its share. `seed` decides its waits. **Hot.**
    #[inline(always)]
    pub fn begin<W: Word>(
        (budget, word): (&Budget, &W),
        traits: Traits,
        seed: u64,
        now: u64,
    ) -> Result<Retry, Exhausted> {
        budget.begin(word, now)?;
        Ok(Retry::new(traits, seed, now))
    }

    /// A call that has begun, where the budget knows already.
    #[inline(always)]
    pub fn new(traits: Traits, seed: u64, now: u64) -> Retry {
        Retry { begun: now, draws: Draws(seed), step_ns: 0, attempts: 1, taken: 0, traits }
    }

    /// The last attempt was a success: the budget hears of it.
    #[inline(always)]
    pub fn succeed<W: Word>(&self, (budget, word): (&Budget, &W)) -> Result<(), Exhausted> {
        budget.succeed(word, self.taken)
    }

    /// Attempts made, the one in progress included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Says what to do after an attempt. **Hot.**
    ///
    /// A wait is that of the backoff, or what `retry_after_ns` says where that is longer. An attempt that we refused
    /// ourselves cost the callee nothing, so trying it again costs the budget nothing.
    #[inline(always)]
    pub fn next<W: Word>(&mut self, plan: &Plan, budget: (&Budget, &W), end: End) -> Decision {
        if end.attempt == Attempt::Ended(Outcome::Success) {
            return self.done(budget);
        }
        let mut draws = self.draws;
        let (wait, step_ns) = plan.backoff.wait(self.step_ns, &mut draws);
        let wait_ns = wait.max(end.retry_after_ns.unwrap_or(0));
        if let Some(reason) = self.obstacle(plan, &end, wait_ns) {
            return Decision::Stop(reason);
        }
        let taken = match self.pay(budget, &end) {
            Ok(taken) => taken,
            Err(Exhausted::Empty) => return Decision::Stop(Reason::Budget),
            Err(Exhausted::Stale) => return Decision::Stale,
        };
        *self = Retry { draws, step_ns, taken, attempts: self.attempts.saturating_add(1), ..*self };
        Decision::Retry { wait_ns }
    }

    /// The retry that was decided on last was not made (its caller left while it waited, or we refused it and there is no
    /// other): what it took goes back to the budget.
    pub fn abandon<W: Word>(&mut self, (budget, word): (&Budget, &W), now: u64) -> Result<(), Exhausted> {
        budget.give_back(word, self.taken, now)?;
        self.taken = 0;
        Ok(())
    }

    #[inline(always)]
    fn done<W: Word>(&mut self, (budget, word): (&Budget, &W)) -> Decision {
        match self.succeed((budget, word)) {
            Ok(()) => Decision::Stop(Reason::Done),
            Err(_) => Decision::Stale,
        }
    }

    #[inline(always)]
    fn pay<W: Word>(&self, (budget, word): (&Budget, &W), end: &End) -> Result<u32, Exhausted> {
        let price = match end.attempt {
            // What paid for the attempt that we refused pays for the next one.
            Attempt::Refused => return Ok(self.taken),
            Attempt::Ended(Outcome::Timeout) => Price::Timeout,
            Attempt::Ended(_) => Price::Normal,
        };
        budget.spend(word, self.traits.criticality, price, end.now)
    }

    /// What but the budget stands against a retry after `wait_ns`.
    #[inline(always)]
    fn obstacle(&self, plan: &Plan, end: &End, wait_ns: u64) -> Option<Reason> {
        let at = end.now.saturating_add(wait_ns);
        if !plan.retries(end.attempt, end.retry_after_ns) {
            Some(Reason::NotRetryable)
        } else if end.attempt != Attempt::Refused && !self.traits.idempotent {
            Some(Reason::NotIdempotent)
        } else if self.attempts >= plan.max_attempts {
            Some(Reason::Attempts)
        } else if at.saturating_sub(self.begun) > plan.max_elapsed_ns {
            Some(Reason::Elapsed)
        } else if end.deadline_ns != 0 && at >= end.deadline_ns {
            Some(Reason::Deadline)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::backoff::{Growth, Jitter};
    use super::super::budget::Reserve;
    use super::super::budget::quota::Quota;
    use super::super::budget::ratio::Ratio;
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const MS: u64 = 1_000_000;
    const NOW: u64 = 1000 * MS;
    const TRAITS: Traits = Traits { criticality: Criticality::Default, idempotent: true };
    const FREE: Budget = Budget::Unlimited;

    fn plan(max_attempts: u32, max_elapsed_ms: u64) -> Plan {
        let backoff = Backoff::new(Growth::exponential(2.0).unwrap(), Jitter::None, 50 * MS, 2000 * MS).unwrap();
        Plan::new(backoff, max_attempts, max_elapsed_ms * MS, RETRYABLE).unwrap()
    }

    fn begin(traits: Traits) -> Retry {
        Retry::begin((&FREE, &AtomicU64::new(0)), traits, 7, NOW).unwrap()
    }

    fn ended(outcome: Outcome) -> End {
        End { attempt: Attempt::Ended(outcome), retry_after_ns: None, now: NOW, deadline_ns: 0 }
    }

    fn next(retry: &mut Retry, plan: &Plan, end: End) -> Decision {
        retry.next(plan, (&FREE, &AtomicU64::new(0)), end)
    }

    fn wait(ms: u64) -> Decision {
        Decision::Retry { wait_ns: ms * MS }
    }

    #[test]
    fn tries_until_its_attempts_are_used_up() {
        let (mut retry, plan) = (begin(TRAITS), plan(3, 0));
        assert_eq!(next(&mut retry, &plan, ended(Outcome::Failure)), wait(50));
        assert_eq!(next(&mut retry, &plan, ended(Outcome::Timeout)), wait(100));
        assert_eq!(next(&mut retry, &plan, ended(Outcome::Overloaded)), Decision::Stop(Reason::Attempts));
        assert_eq!(retry.attempts(), 3);
    }

    #[test]
    fn one_attempt_is_no_retry() {
        assert_eq!(next(&mut begin(TRAITS), &plan(1, 0), ended(Outcome::Failure)), Decision::Stop(Reason::Attempts));
    }

    #[test]
    fn only_named_classes_are_tried_again() {
        let plan = Plan::new(plan(3, 0).backoff, 3, 0, bit(Outcome::Timeout)).unwrap();
        for outcome in Outcome::ALL {
            let want = match outcome {
                Outcome::Success => Decision::Stop(Reason::Done),
                Outcome::Timeout => wait(50),
                _ => Decision::Stop(Reason::NotRetryable),
            };
            assert_eq!(next(&mut begin(TRAITS), &plan, ended(outcome)), want, "{outcome:?}");
        }
    }

    #[test]
    fn what_may_not_happen_twice_is_not_tried_twice() {
        let mut retry = begin(Traits { idempotent: false, ..TRAITS });
        let refused = End { attempt: Attempt::Refused, retry_after_ns: Some(0), ..ended(Outcome::Failure) };
        assert_eq!(next(&mut retry, &plan(3, 0), refused), wait(50), "it never left us");
        assert_eq!(next(&mut retry, &plan(3, 0), ended(Outcome::Failure)), Decision::Stop(Reason::NotIdempotent));
    }

    #[test]
    fn our_own_refusals_are_tried_again_where_they_say_when_and_it_fits() {
        let refused = |after: Option<u64>, deadline_ns| End {
            attempt: Attempt::Refused,
            retry_after_ns: after.map(|ms| ms * MS),
            now: NOW,
            deadline_ns,
        };
        let (plan, quota) = (plan(3, 0), Budget::Quota(Quota::new([5, 5, 5, 1], Reserve::default(), 1).unwrap()));
        let word = AtomicU64::new(0);
        let ask = |end| begin(TRAITS).next(&plan, (&quota, &word), end);
        assert_eq!(ask(refused(None, 0)), Decision::Stop(Reason::NotRetryable));
        assert_eq!(ask(refused(Some(70), NOW + 71 * MS)), wait(70));
        assert_eq!(ask(refused(Some(70), NOW + 70 * MS)), Decision::Stop(Reason::Deadline));
        assert_eq!(word.load(Relaxed), 0, "and cost the budget nothing");
    }

    #[test]
    fn a_retry_after_is_waited_for() {
        let end = |ms| End { retry_after_ns: Some(ms * MS), ..ended(Outcome::Overloaded) };
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 0), end(300)), wait(300));
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 0), end(20)), wait(50), "the backoff is longer");
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 299), end(300)), Decision::Stop(Reason::Elapsed));
        let endless = End { retry_after_ns: Some(u64::MAX), ..ended(Outcome::Overloaded) };
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 1), endless), Decision::Stop(Reason::Elapsed));
    }

    #[test]
    fn never_past_the_deadline_or_the_longest_time() {
        let by = |deadline_ns| End { deadline_ns, ..ended(Outcome::Failure) };
        let deadline = Decision::Stop(Reason::Deadline);
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 0), by(NOW + 50 * MS)), deadline);
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 0), by(NOW + 50 * MS + 1)), wait(50));
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 0), by(1)), deadline, "long past");
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 50), by(0)), wait(50));
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 49), by(0)), Decision::Stop(Reason::Elapsed));
    }

    #[test]
    fn odd_times_are_defined() {
        let at = |now, deadline_ns| End { now, deadline_ns, ..ended(Outcome::Failure) };
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 100), at(0, 0)), wait(50), "time went back");
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 0), at(u64::MAX - 1, 0)), wait(50));
        assert_eq!(next(&mut begin(TRAITS), &plan(3, 0), at(u64::MAX - 1, u64::MAX)), Decision::Stop(Reason::Deadline));
    }

    #[test]
    fn contradictions_are_refused() {
        let backoff = plan(1, 0).backoff;
        assert_eq!(Plan::new(backoff, 0, 0, RETRYABLE), None);
        for outcome in [Outcome::Success, Outcome::Cancelled, Outcome::Ignored] {
            assert_eq!(Plan::new(backoff, 3, 0, bit(outcome)), None);
        }
    }

    #[test]
    fn an_empty_budget_stops_and_a_success_fills_it() {
        let quota = Budget::Quota(Quota::new([10, 5, 10, 1], Reserve::default(), 1).unwrap());
        let (plan, word) = (plan(9, 0), AtomicU64::new(0));
        let mut retry = begin(TRAITS);
        assert_eq!(retry.next(&plan, (&quota, &word), ended(Outcome::Timeout)), wait(50));
        assert_eq!(retry.next(&plan, (&quota, &word), ended(Outcome::Failure)), Decision::Stop(Reason::Budget));
        assert_eq!(retry.attempts(), 2);
        assert_eq!(retry.next(&plan, (&quota, &word), ended(Outcome::Success)), Decision::Stop(Reason::Done));
        assert_eq!(quota.retries_left(word.load(Relaxed), NOW), 2);
    }

    #[test]
    fn who_leaves_while_waiting_gives_back_once() {
        let quota = Budget::Quota(Quota::new([10, 5, 10, 1], Reserve::default(), 1).unwrap());
        let (word, mut retry) = (AtomicU64::new(0), begin(TRAITS));
        let mut other = begin(TRAITS);
        retry.next(&plan(3, 0), (&quota, &word), ended(Outcome::Failure));
        other.next(&plan(3, 0), (&quota, &word), ended(Outcome::Failure));
        retry.abandon((&quota, &word), NOW).unwrap();
        retry.abandon((&quota, &word), NOW).unwrap();
        assert_eq!(quota.retries_left(word.load(Relaxed), NOW), 1);
    }

    #[test]
    fn what_paid_for_a_refused_attempt_pays_for_the_next() {
        let quota = Budget::Quota(Quota::new([10, 5, 10, 1], Reserve::default(), 1).unwrap());
        let (word, mut retry, plan) = (AtomicU64::new(0), begin(TRAITS), plan(9, 0));
        let refused = End { attempt: Attempt::Refused, retry_after_ns: Some(1), ..ended(Outcome::Failure) };
        for end in [ended(Outcome::Failure), refused, refused] {
            assert!(matches!(retry.next(&plan, (&quota, &word), end), Decision::Retry { .. }));
            assert_eq!(quota.retries_left(word.load(Relaxed), NOW), 1);
        }
        retry.next(&plan, (&quota, &word), ended(Outcome::Success));
        assert_eq!(quota.retries_left(word.load(Relaxed), NOW), 2);
    }

    #[test]
    fn a_changed_rule_is_asked_again_and_nothing_was_done() {
        let of = |generation| Budget::Ratio(Ratio::new(0.1, 5.0, NOW, Reserve::default(), generation).unwrap());
        let (word, mut retry) = (AtomicU64::new(0), begin(TRAITS));
        of(2).begin(&word, NOW).unwrap();
        let before = retry;
        assert_eq!(retry.next(&plan(3, 0), (&of(1), &word), ended(Outcome::Failure)), Decision::Stale);
        assert_eq!(retry, before);
        assert_eq!(Retry::begin((&of(1), &word), TRAITS, 0, NOW).err(), Some(Exhausted::Stale));
        assert_eq!(retry.next(&plan(3, 0), (&of(2), &word), ended(Outcome::Failure)), wait(50));
    }

    proptest! {
        #[test]
        fn keeps_every_promise_whatever_happens(
            max_attempts in 1u32..6, max_elapsed in 0u64..3000, deadline in 0u64..3000, seed: u64,
            ends in prop::collection::vec((0usize..7, prop::option::of(0u64..500), 0u64..400), 1..12),
        ) {
            let backoff = Backoff::new(Growth::exponential(2.0).unwrap(), Jitter::Full, 50 * MS, 500 * MS).unwrap();
            let plan = Plan::new(backoff, max_attempts, max_elapsed * MS, RETRYABLE).unwrap();
            prop_assert_eq!(Plan::of(plan.words()), plan);
            let mut retry = Retry::begin((&FREE, &AtomicU64::new(0)), TRAITS, seed, NOW).unwrap();
            let (mut now, deadline_ns) = (NOW, if deadline == 0 { 0 } else { NOW + deadline * MS });
            for (made, (outcome, after, took)) in ends.into_iter().enumerate() {
                now += took * MS;
                let attempt = Outcome::ALL.get(outcome).map_or(Attempt::Refused, |&outcome| Attempt::Ended(outcome));
                let end = End { attempt, retry_after_ns: after.map(|ms| ms * MS), now, deadline_ns };
                let Decision::Retry { wait_ns } = next(&mut retry, &plan, end) else { break };
                prop_assert!(matches!(attempt, Attempt::Refused) || RETRYABLE & (1 << outcome) != 0);
                prop_assert!(attempt != Attempt::Refused || after.is_some());
                prop_assert!((made as u32) + 2 <= max_attempts && retry.attempts() == made as u32 + 2);
                prop_assert!(wait_ns >= after.unwrap_or(0) * MS);
                now += wait_ns;
                prop_assert!(deadline == 0 || now < deadline_ns);
                prop_assert!(max_elapsed == 0 || now - NOW <= max_elapsed * MS);
            }
        }
    }
}
