//! Numbers with a fraction.

use crate::rules::Report;
use crate::rules::cursor::At;
use crate::rules::field::Kind;
use crate::rules::read::Node;
use serde_json::{Value, json};

/// A number above 0 and at most `max`.
pub(in crate::rules) struct Decimal {
    /// The most.
    pub max: u64,
}

impl Kind for Decimal {
    type Out = f64;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<f64> {
        let number = match at.node {
            Node::Number(text) => text.parse::<f64>().ok(),
            _ => None,
        };
        let value = number.filter(|x| *x > 0.0 && *x <= self.max as f64);
        if value.is_none() {
            at.expected(&self.words(), report);
        }
        value
    }

    fn words(&self) -> String {
        format!("a number above 0 and at most {}", self.max)
    }

    fn schema(&self) -> Value {
        json!({ "type": "number", "exclusiveMinimum": 0, "maximum": self.max })
    }
}
