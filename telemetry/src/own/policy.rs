//! What policies count.

use super::{Own, Source};
use crate::PolicyFigures;
use crate::page::Kind::{Counter, Gauge};
use std::collections::BTreeMap;

/// The policies' metrics, in the order of the page.
pub const FAMILIES: &[Own] = &[
    Own::new(
        Counter,
        "tidegate_policy_calls",
        &["policy", "action"],
        "Calls that the policy answered, by its answer.",
        |from, to| {
            from.each_policy(|name, policy| policy.calls.iter().for_each(|(action, n)| to.put(&[name, action], *n)))
        },
    ),
    Own::new(
        Counter,
        "tidegate_policy_failures",
        &["policy", "cause"],
        "Calls that the policy did not answer, by cause.",
        |from, to| {
            from.each_policy(|name, policy| policy.failures.iter().for_each(|(cause, n)| to.put(&[name, cause], *n)))
        },
    ),
    Own::new(
        Gauge,
        "tidegate_policy_generation",
        &["policy"],
        "The generation of the policy that serves; 0 when none does.",
        |from, to| from.each_policy(|name, policy| to.put(&[name], policy.generation)),
    ),
    Own::new(
        Counter,
        "tidegate_policy_swaps",
        &["policy"],
        "Generations of the policy that were published.",
        |from, to| {
            from.each_policy(|name, policy| to.put(&[name], policy.swaps));
        },
    ),
    Own::new(
        Counter,
        "tidegate_policy_rollbacks",
        &["policy"],
        "Returns to an earlier generation, by hand or by themselves.",
        |from, to| from.each_policy(|name, policy| to.put(&[name], policy.rollbacks)),
    ),
    Own::new(
        Counter,
        "tidegate_policy_quarantined",
        &["policy"],
        "Generations that were taken out of service since they failed too often.",
        |from, to| from.each_policy(|name, policy| to.put(&[name], policy.quarantined)),
    ),
    Own::new(
        Counter,
        "tidegate_policy_events",
        &["policy", "name"],
        "What the policy itself counts, by the name that it gives.",
        |from, to| from.each_policy(|name, policy| counters(policy).for_each(|(event, n)| to.put(&[name, event], n))),
    ),
];

impl Source<'_> {
    fn each_policy(&self, mut show: impl FnMut(&str, &PolicyFigures)) {
        self.policies.iter().for_each(|(name, policy)| show(name, policy));
    }
}

/// A guest's counters by name, each name once.
fn counters(policy: &PolicyFigures) -> impl Iterator<Item = (&str, u64)> {
    let sorted: BTreeMap<&str, u64> = policy.counters.iter().rev().map(|(name, n)| (name.as_str(), *n)).collect();
    sorted.into_iter()
}
