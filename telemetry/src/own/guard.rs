//! What guards count.

use super::{Own, Samples, Source};
use crate::page::Kind::{Counter, Gauge, Histogram};
use tidegate_core::breaker::state::State;
use tidegate_core::guard::stats::{GuardStats, KeyedStats};
use tidegate_core::metrics::snapshot::Snapshot;
use tidegate_core::retry::Reason;
use tidegate_core::runtime::OVERFLOW_GUARD;
use tidegate_core::{Outcome, Stage};

/// The guards' metrics, in the order of the page.
pub const FAMILIES: &[Own] = &[
    Own::new(Counter, "tidegate_guard_calls", &["guard", "outcome"], "Attempts that ended, by outcome.", |from, to| {
        from.each_guard(|name, stats| calls(name, stats, to))
    }),
    Own::new(
        Counter,
        "tidegate_guard_requests",
        &["guard", "result"],
        "Logical calls that ended or were refused, by result.",
        |from, to| from.each_guard(|name, stats| requests(name, stats, to)),
    ),
    Own::new(
        Counter,
        "tidegate_guard_rejected",
        &["guard", "stage", "reason"],
        "Calls refused, by the stage that refused them.",
        |from, to| from.each_guard(|name, stats| refusals(name, &stats.rejected, to)),
    ),
    Own::new(
        Counter,
        "tidegate_guard_shadow_rejected",
        &["guard", "stage", "reason"],
        "Calls that a stage in shadow mode let pass and would have refused.",
        |from, to| from.each_guard(|name, stats| refusals(name, &stats.shadow_rejected, to)),
    ),
    Own::new(Gauge, "tidegate_guard_inflight", &["guard"], "Calls in flight.", |from, to| {
        from.each_guard(|name, stats| to.put(&[name], stats.inflight));
    }),
    Own::new(
        Gauge,
        "tidegate_guard_limit",
        &["guard"],
        "The concurrency limit in force, where there is one.",
        |from, to| from.each_guard(|name, stats| limit(name, stats, to)),
    ),
    Own::new(
        Histogram,
        "tidegate_guard_duration_seconds",
        &["guard"],
        "How long attempts took, except those that were cancelled.",
        |from, to| from.each_guard(|name, stats| to.put_histogram(&[name], &stats.latency)),
    )
    .unit("seconds"),
    Own::new(
        Counter,
        "tidegate_guard_expired_permits",
        &["guard"],
        "Permits that max_hold took back since nobody had exited them.",
        |from, to| from.each_guard(|name, stats| to.put(&[name], stats.expired)),
    ),
    Own::new(
        Counter,
        "tidegate_guard_misused_exits",
        &["guard"],
        "Exits of permits that held nothing or were another process's.",
        |from, to| from.each_guard(|name, stats| to.put(&[name], stats.misused_exits)),
    ),
    Own::new(
        Counter,
        "tidegate_policy_failed",
        &["guard"],
        "Calls that got the on_fail answer since the guard's policy gave none.",
        |from, to| from.each_guard(|name, stats| to.put(&[name], stats.policy_failed)),
    ),
    Own::new(
        Counter,
        "tidegate_guard_fault_delays",
        &["guard"],
        "Calls that a fault injected on purpose delayed.",
        |from, to| from.each_guard(|name, stats| delays(name, stats, to)),
    ),
    Own::new(
        Counter,
        "tidegate_retry_attempts",
        &["guard", "result"],
        "Attempts of calls with retries that ended, by what followed: a retry, or why none did.",
        |from, to| from.each_guard(|name, stats| retries(name, stats, to)),
    ),
    Own::new(
        Counter,
        "tidegate_retry_hedges",
        &["guard"],
        "Attempts sent before the one before them had ended.",
        |from, to| from.each_guard(|name, stats| hedges(name, stats, to)),
    ),
    Own::new(
        Gauge,
        "tidegate_retry_budget_left",
        &["guard"],
        "Retries and hedges that the guard's budget has left for critical calls.",
        |from, to| from.each_guard(|name, stats| budget(name, stats, to)),
    ),
    Own::new(
        Gauge,
        "tidegate_breaker_state",
        &["guard", "state"],
        "1 for the state that the guard's breaker is in, 0 for the others.",
        |from, to| from.each_guard(|name, stats| breaker(name, stats, to)),
    ),
    Own::new(
        Counter,
        "tidegate_breaker_transitions",
        &["guard", "to"],
        "How often the guard's breaker went to a state.",
        |from, to| from.each_guard(|name, stats| transitions(name, stats, to)),
    ),
];

/// Those of rate limits by key.
pub const BY_KEY: &[Own] = &[
    Own::new(
        Gauge,
        "tidegate_rate_keys_live",
        &["guard", "rate"],
        "Keys of a rate limit that have used tokens and not got them back; over 26 000 by a sample.",
        |from, to| from.each_guard(|name, stats| by_key(name, stats, |keyed| keyed.live, to)),
    ),
    Own::new(
        Counter,
        "tidegate_rate_overflow",
        &["guard", "rate"],
        "Calls whose key found no place among the keys of a rate limit.",
        |from, to| from.each_guard(|name, stats| by_key(name, stats, |keyed| keyed.overflowed, to)),
    ),
];

fn by_key(guard: &str, stats: &GuardStats, figure: impl Fn(&KeyedStats) -> u64, to: &mut Samples<'_>) {
    for (index, keyed) in stats.keyed.iter().enumerate() {
        if let Some(keyed) = keyed {
            to.put(&[guard, &index.to_string()], figure(keyed));
        }
    }
}

impl Source<'_> {
    fn each_guard(&self, mut show: impl FnMut(&str, &GuardStats)) {
        self.guards.iter().for_each(|(name, stats)| show(name, stats));
    }
}

/// The guards to show: all but the overflow guard that nobody used.
pub fn shown(snapshot: &Snapshot) -> Vec<(&str, &GuardStats)> {
    let used = |name: &str, stats: &GuardStats| name != OVERFLOW_GUARD || snapshot.overflowed[0] > 0 || is_used(stats);
    let guards = snapshot.guards.iter().map(|(name, stats)| (name.as_str(), stats));
    guards.filter(|(name, stats)| used(name, stats)).collect()
}

fn is_used(stats: &GuardStats) -> bool {
    let counts = [&stats.calls[..], &stats.rejected, &stats.shadow_rejected].concat();
    stats.inflight > 0 || stats.misused_exits > 0 || counts.iter().any(|n| *n > 0)
}

fn calls(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    for (outcome, n) in Outcome::ALL.iter().zip(stats.calls) {
        to.put(&[guard, outcome.name()], n);
    }
}

/// Attempts that were followed by another do not end a logical call. Of hedged calls one attempt counts: mostly the others were
/// cancelled, so they are taken off there first.
fn requests(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    let sum = |outcomes: &[Outcome]| outcomes.iter().fold(0u64, |sum, o| sum.saturating_add(stats.calls[*o as usize]));
    let refused = stats.rejected.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
    let (followed, mut surplus) =
        stats.retries.as_ref().map_or(([0; 4], 0), |retries| (retries.followed, retries.hedges));
    let failed = sum(&[Outcome::Failure, Outcome::Timeout, Outcome::Overloaded]);
    let ended = [
        ("cancelled", sum(&[Outcome::Cancelled])),
        ("error", failed.saturating_sub(followed[..3].iter().sum())),
        ("rejected", refused.saturating_sub(followed[3])),
        ("ok", sum(&[Outcome::Success, Outcome::Ignored])),
    ];
    for (result, attempts) in ended {
        let calls = attempts.saturating_sub(surplus);
        surplus -= attempts - calls;
        to.put(&[guard, result], calls);
    }
}

/// From 0 on where faults were seen at all: they are rare, and not for production.
fn delays(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    if stats.delayed > 0 {
        to.put(&[guard], stats.delayed);
    }
}

fn retries(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    let Some(retries) = &stats.retries else { return };
    let names = std::iter::once("retry").chain(Reason::ALL.map(Reason::name));
    names.zip(retries.decided).for_each(|(name, n)| to.put(&[guard, name], n));
}

fn hedges(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    if let Some(retries) = &stats.retries {
        to.put(&[guard], retries.hedges);
    }
}

fn budget(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    if let Some(retries) = &stats.retries {
        to.put(&[guard], retries.budget_left);
    }
}

/// Most stages from 0 on, so that the first refusal is seen as a rise; those that few guards have when they count.
fn refusals(guard: &str, counts: &[u64; 9], to: &mut Samples<'_>) {
    for stage in Stage::ALL {
        let n = counts[stage as usize];
        let rare = matches!(stage, Stage::Fault | Stage::Throttle);
        if n > 0 || !rare {
            to.put(&[guard, stage.name(), reason(stage)], n);
        }
    }
}

/// Why a stage refuses, in a word.
pub fn reason(stage: Stage) -> &'static str {
    match stage {
        Stage::Deadline => "no_time",
        Stage::Fault => "injected",
        Stage::Breaker => "open",
        Stage::Throttle => "throttled",
        Stage::Policy => "denied",
        Stage::System => "overload",
        Stage::Concurrency => "limit",
        Stage::Rate => "rate_limited",
    }
}

fn limit(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    if stats.limit > 0 {
        to.put(&[guard], stats.limit);
    }
}

fn breaker(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    let Some(now) = stats.breaker else { return };
    for state in State::ALL {
        to.put(&[guard, state.name()], u64::from(state == now));
    }
}

/// From 0 on where there is a breaker, so that the first change is seen as a rise.
fn transitions(guard: &str, stats: &GuardStats, to: &mut Samples<'_>) {
    if stats.breaker.is_none() && stats.breaker_transitions == [0; 7] {
        return;
    }
    for state in State::ALL {
        to.put(&[guard, state.name()], stats.breaker_transitions[state as usize]);
    }
}
