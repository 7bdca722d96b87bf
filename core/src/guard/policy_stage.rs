//! The policy stage: finds the policy that the rules bind, shows it the call, obeys its verdict.

use super::enter::shadowed;
use super::handle::Guard;
use super::numbers::Block;
use super::turned_away::Ended;
use super::{Call, Stage, cell};
use crate::breaker::state::Breaker;
use crate::concurrency::fixed::Held;
use crate::policy::{MAX_ATTRIBUTES, Policy, RECORD_VERSION, Record, Verdict};
use crate::rules::Mode;
use crate::slot::lane::{Count, Run};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// A policy that was found for a guard; None: there is none of that name.
pub struct Bound(Option<Arc<dyn Policy>>);

/// What the stage says.
pub(super) enum Said {
    /// Go on.
    Go(Go),
    /// Refused; the generation that wants to hear of it.
    Deny { ended: Ended, observer: u64 },
}

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

impl Guard {
    /// Asks the policy that the rules bind, and does as its mode says.
    #[inline(never)]
    pub(super) fn ask_policy(&self, numbers: &Block, run: Run<'_>, call: &Call<'_>, now: u64, deadline: u64) -> Said {
        let said = self.verdict(numbers, run, call, now, deadline);
        if numbers.flags().policy() == Mode::Enforce {
            return said;
        }
        match said {
            Said::Go(go) => Said::Go(Go { observer: go.observer, ..Go::default() }),
            Said::Deny { observer, .. } => {
                shadowed(run, Stage::Policy);
                Said::Go(Go { observer, ..Go::default() })
            }
        }
    }

    fn verdict(&self, numbers: &Block, run: Run<'_>, call: &Call<'_>, now: u64, deadline: u64) -> Said {
        let Some(policy) = self.policy(numbers) else { return unanswered(numbers, run) };
        let record = self.record(numbers, call, now, deadline);
        let attributes = &call.attributes[..call.attributes.len().min(MAX_ATTRIBUTES)];
        match policy.decide(&record, attributes) {
            (Some(verdict), observer) => said(verdict, observer, record.remaining_ns),
            (None, _) => unanswered(numbers, run),
        }
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

    fn record(&self, numbers: &Block, call: &Call<'_>, now: u64, deadline: u64) -> Record {
        let hot = &self.cell().hot;
        let inflight = Held::of(hot.concurrency.load(Relaxed)).inflight();
        let limit = self.limit_in_force(numbers);
        let breaker = match numbers.breaker_mode() {
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
            cost: u32::try_from(call.cost.max(1)).unwrap_or(u32::MAX),
            inflight: inflight as u32,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            pressure: self.pressure(numbers, inflight, limit, now),
            guard: self.generation,
            ..Record::default()
        }
    }

    fn pressure(&self, numbers: &Block, inflight: u64, limit: u64, now: u64) -> u32 {
        let busy = (inflight * 1000).checked_div(limit).unwrap_or(0).min(1000) as u32;
        let used = |index: usize| self.limit(numbers, index).map_or(0, |limit| limit.pressure(now));
        (0..numbers.rate_count()).map(used).fold(busy, u32::max)
    }
}

/// The hash of a call's key; 0 without one.
#[inline(always)]
pub(super) fn key_hash(key: &[u8]) -> u64 {
    if key.is_empty() { 0 } else { crate::hash::fnv1a(key.iter().copied()) }
}

fn said(verdict: Verdict, observer: u64, remaining_ns: u64) -> Said {
    use crate::policy::Action::*;
    let argument = u64::from(verdict.argument);
    let refused = |stage, retry_after_ns| {
        let ended = Ended::Refused { stage, retry_after_ns, reason: verdict.reason.into() };
        Said::Deny { ended, observer }
    };
    match verdict.action {
        Allow => Said::Go(Go { observer, ..Go::default() }),
        Delay if argument * 1000 >= remaining_ns => refused(Stage::Deadline, 0),
        Delay => Said::Go(Go { wait_ns: argument * 1000, observer, ..Go::default() }),
        Route => Said::Go(Go { route: verdict.argument, observer, ..Go::default() }),
        Deny => refused(Stage::Policy, argument * 1_000_000),
    }
}

/// No policy answered: `on_fail` does.
#[cold]
fn unanswered(numbers: &Block, run: Run<'_>) -> Said {
    run.add(cell::POLICY_FAILED, 1);
    match numbers.flags().on_fail_allow() {
        true => Said::Go(Go::default()),
        false => Said::Deny { ended: Ended::by(Stage::Policy), observer: 0 },
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
