//! The rules document: what each guard does, as JSON.
//!
//! [`parse`] reads a document, validates it as a whole and gives a typed
//! [`RuleSet`], or a [`Report`] of every error at once, each with its JSON path.
//! One table of fields (`stage`) drives the known names, the ranges and defaults,
//! [`schema_json`] and [`reference_markdown`], so that they cannot drift apart.
//!
//! Everything here is cold: it allocates, and touches no shared state.

mod cursor;
mod duration;
mod field;
mod kind;
mod path;
mod read;
mod reference;
mod report;
mod rule_set;
mod schema;
mod stage;
mod suggest;
#[cfg(test)]
mod tests;

pub use reference::reference_markdown;
pub use report::{MAX_PROBLEMS, Problem, Report};
pub use rule_set::{
    BreakerRule, BudgetKind, BudgetRule, ConcurrencyRule, DeadlineRule, FaultRule, FaultWhen, FollowRule, GuardRules,
    HedgeDelay, HedgeRule, KeyedRule, LimitAlgorithm, Mode, OwnRule, PolicyRule, RateAlgorithm, RateRule, RetryRule,
    RuleSet, SlowRule, SystemRule, ThrottleRule,
};
pub use schema::schema_json;

/// The largest rules document that is read, in bytes (4 MiB).
pub const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// The most guards that one document may name.
pub const MAX_GUARDS: usize = 4096;

/// The longest guard name, in bytes of UTF-8.
pub const MAX_GUARD_NAME_BYTES: usize = 128;

/// Reads and validates a rules document.
///
/// Total: any bytes give a rule set or a report, never a panic. A document larger
/// than [`MAX_DOCUMENT_BYTES`] is refused without being read.
///
/// # Errors
///
/// The report names every error found, up to [`MAX_PROBLEMS`], and counts the rest.
pub fn parse(json: &[u8]) -> Result<RuleSet, Report> {
    let mut report = Report::default();
    let node = read::read(json, &mut report);
    let rules = node.and_then(|node| stage::document::rule_set(&node, &mut report));
    match rules {
        Some(rules) if report.errors.is_empty() => Ok(rules),
        _ => Err(report),
    }
}
