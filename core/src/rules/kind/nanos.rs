//! Durations in a range.

use crate::rules::Report;
use crate::rules::cursor::At;
use crate::rules::duration::{PATTERN, format, parse};
use crate::rules::field::Kind;
use crate::rules::read::Node;
use serde_json::{Value, json};

/// A duration from `min` to `max` nanoseconds, both included.
pub(in crate::rules) struct Nanos {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
}

impl Kind for Nanos {
    type Out = u64;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<u64> {
        let read = match at.node {
            Node::Text(text) => parse(text),
            Node::Number(_) => Err("write a string with a unit, such as \"250ms\""),
            _ => Err(""),
        };
        match read {
            Ok(nanos) if (self.min..=self.max).contains(&nanos) => return Some(nanos),
            Ok(_) => at.expected(&self.words(), report),
            Err(why) => at.expected_because(&self.words(), why, report),
        }
        None
    }

    fn words(&self) -> String {
        format!("a duration from {} to {}", format(self.min), format(self.max))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": PATTERN, "$comment": self.words() })
    }
}
