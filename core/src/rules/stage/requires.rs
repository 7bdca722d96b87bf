//! `requires`: what the document needs of the library that reads it.

use crate::rules::Report;
use crate::rules::cursor::At;
use crate::rules::field::Kind;
use crate::rules::path::quoted;
use crate::rules::read::Node;
use serde_json::{Value, json};

/// The features of this version.
pub(in crate::rules) const FEATURES: &[&str] = &[
    "adaptive_concurrency",
    "breaker",
    "enough_time",
    "error_count",
    "faults",
    "fixed_concurrency",
    "fixed_window",
    "follow",
    "hedge",
    "key",
    "max_hold",
    "max_wait",
    "pacing",
    "policy",
    "recover_over",
    "retry",
    "shadow",
    "shed",
    "sliding_counter",
    "sliding_window",
    "slow",
    "system",
    "throttle",
    "timeout",
    "token_bucket",
    "warm_up",
    "window_calls",
];

/// The name of a feature that this version has.
pub(super) struct Feature;

impl Kind for Feature {
    type Out = ();

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<()> {
        match at.node {
            Node::Text(name) if FEATURES.contains(&name.as_str()) => return Some(()),
            Node::Text(name) => report.add(at.path, || {
                let (name, known) = (quoted(name), FEATURES.join(", "));
                format!("this version does not have the feature {name}; it has {known}")
            }),
            _ => at.expected(&self.words(), report),
        }
        None
    }

    fn words(&self) -> String {
        String::from("the name of a feature")
    }

    fn schema(&self) -> Value {
        json!({ "enum": FEATURES })
    }
}
