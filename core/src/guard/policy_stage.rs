//! The policy stage: finds the policy that the rules bind, shows it the call, obeys its verdict.

use super::enter::shadowed;
use super::handle::Guard;
use super::load_stage::limit_in_force;
use super::numbers::Block;
use super::permit::FOLLOWED;
use super::taken::Taken;
use super::turned_away::Ended;
use super::{Call, Stage, cell};
use crate::breaker::state::Breaker;
use crate::concurrency::fixed::Held;
use crate::policy::{Action, Policy, RECORD_VERSION, Record, Verdict};
use crate::rate::token_bucket::One;
use crate::rules::Mode;
use crate::slot::lane::Count;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// A policy that was found for a guard; None: there is none of that name.
pub struct Bound(Option<Arc<dyn Policy>>);

/// How a call goes on.
#[derive(Clone, Copy, Default)]
pub(super) struct Go {
    /// Time to wait first.
    pub wait_ns: u64,
    /// 0: none.
    pub route: u32,
    /// The generation that wants to hear of the call; 0: none does.
    pub observer: u64,
}

impl Go {
    /// As if there were no policy.
    pub(super) const NOTHING: Go = Go { wait_ns: 0, route: 0, observer: 0 };
}

impl Taken<'_> {
    /// Asks the policy that the rules bind, and does as its mode says.
    #[inline(always)]
    pub(super) fn ask_policy(&mut self, call: &Call<'_>) -> Result<(), Ended> {
        let said = self.verdict(call);
        if self.facts.flags().policy() == Mode::Enforce {
            (self.go.wait_ns, self.go.route) = said?;
        } else if said.is_err() {
            shadowed(self.run, Stage::Policy);
        }
        if self.go.observer | self.go.wait_ns != 0 {
            self.marks = self.marks.with(FOLLOWED).of_criticality(call.criticality as u8);
        }
        Ok(())
    }

    /// The wait and the route of a call that may go on. Keeps who wants to hear of it.
    #[inline(always)]
    fn verdict(&mut self, call: &Call<'_>) -> Result<(u64, u32), Ended> {
        let Some(policy) = self.guard.policy(self.numbers()) else { return self.unanswered() };
        let record = self.record(call);
        let (Some(verdict), observer) = policy.decide(&record, call.seen_attributes()) else {
            return self.unanswered();
        };
        self.go.observer = observer;
        if verdict.action == Action::Allow { Ok((0, 0)) } else { heed(verdict, record.remaining_ns) }
    }

    /// No policy answered: `on_fail` does.
    #[cold]
    fn unanswered(self) -> Result<(u64, u32), Ended> {
        self.run.add(cell::POLICY_FAILED, 1);
        if self.numbers().flags().on_fail_allow() { Ok((0, 0)) } else { Err(Ended::by(Stage::Policy)) }
    }

    fn record(self, call: &Call<'_>) -> Record {
        let (now, deadline, hot) = (self.now, self.deadline_ns, &self.guard.cell().hot);
        let inflight = Held::of(hot.concurrency.load(Relaxed)).inflight();
        let limit =
            limit_in_force(self.numbers(), self.facts.further().map(|further| (further.numbers, further.state)));
        let breaker = match self.numbers().breaker_mode() {
            Mode::Off => 0,
            _ => Breaker::of(hot.breaker.load(Relaxed)).state as u16 + 1,
        };
        Record {
            size: size_of::<Record>() as u16,
            version: RECORD_VERSION,
            criticality: call.criticality as u16,
            breaker,
            now_ns: now,
            key_hash: key_hash(call.key),
            remaining_ns: if deadline == 0 { u64::MAX } else { deadline.saturating_sub(now) },
            cost: u32::try_from(self.cost).unwrap_or(u32::MAX),
            inflight: inflight as u32,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            pressure: self.pressure(inflight, limit),
            guard: self.guard.generation,
            ..Record::default()
        }
    }

    /// How near the guard is to refusing, in thousandths.
    fn pressure(self, inflight: u64, limit: u64) -> u32 {
        let busy = (inflight * 1000).checked_div(limit).unwrap_or(0).min(1000) as u32;
        let used = match (self.facts.flags().rates(), self.facts.rate(0)) {
            (0, _) => 0,
            (1, one) if one != One::NEVER => one.pressure(self.guard.cell().hot.rates[0].load(Relaxed), self.now),
            (count, _) => self.guard.most_used(self.numbers(), count, self.now),
        };
        busy.max(used)
    }
}

impl Guard {
    /// The used share of the rate limit that is the nearest to its end, in thousandths.
    #[inline(never)]
    fn most_used(&self, numbers: &Block, count: usize, now: u64) -> u32 {
        let used = |index| self.rate_limit(numbers, index).map_or(0, |limit| limit.pressure(now));
        (0..count).map(used).fold(0, u32::max)
    }

    /// Tells the policy generation that decided how the call ended (255: it never ran).
    pub(super) fn tell_policy(&self, observer: u64, record: &Record, outcome: u8, duration_ns: u64) {
        if let Some(policy) = self.bound_policy() {
            policy.observe(observer, record, outcome, duration_ns);
        }
    }

    #[inline(always)]
    fn policy(&self, numbers: &Block) -> Option<&dyn Policy> {
        let host = self.shared.host()?;
        let key = numbers.tag().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ host.epoch();
        if self.bound_key.load(Acquire) != key {
            self.bind(numbers, key);
        }
        self.bound_policy()
    }

    #[inline(always)]
    fn bound_policy(&self) -> Option<&dyn Policy> {
        // SAFETY: bindings are interned by the runtime and never freed.
        let bound = unsafe { self.bound.load(Acquire).as_ref() }?;
        bound.0.as_deref()
    }

    /// Looks the policy up anew: once after a change of rules or of the loaded policies.
    #[cold]
    fn bind(&self, numbers: &Block, key: u64) {
        let Some(host) = self.shared.host() else { return };
        let name = self.shared.policy_name(numbers);
        let found = name.and_then(|name| host.find(&name));
        let Ok(bound) = self.shared.intern_policy(found) else { return };
        self.bound.store(std::ptr::from_ref(bound).cast_mut(), Release);
        self.bound_key.store(key, Release);
    }
}

/// The hash of a call's key; 0 without one.
#[inline(always)]
pub(super) fn key_hash(key: &[u8]) -> u64 {
    if key.is_empty() { 0 } else { crate::hash::fnv1a(key.iter().copied()) }
}

/// The wait and the route that a verdict gives a call.
fn heed(verdict: Verdict, remaining_ns: u64) -> Result<(u64, u32), Ended> {
    let argument = u64::from(verdict.argument);
    let refused = |stage, retry_after_ns| Err(Ended::Refused { stage, retry_after_ns, reason: verdict.reason.into() });
    match verdict.action {
        Action::Allow => Ok((0, 0)),
        Action::Delay if argument * 1000 >= remaining_ns => refused(Stage::Deadline, 0),
        Action::Delay => Ok((argument * 1000, 0)),
        Action::Route => Ok((0, verdict.argument)),
        Action::Deny => refused(Stage::Policy, argument * 1_000_000),
    }
}

impl Bound {
    /// A binding to what was found.
    pub(crate) fn new(policy: Option<Arc<dyn Policy>>) -> Bound {
        Bound(policy)
    }

    /// Whether it is a binding to the same policy.
    pub(crate) fn is(&self, policy: &Option<Arc<dyn Policy>>) -> bool {
        match (&self.0, policy) {
            (Some(mine), Some(other)) => Arc::ptr_eq(mine, other),
            (None, None) => true,
            _ => false,
        }
    }
}
