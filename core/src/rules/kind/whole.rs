//! Whole numbers in a range.

use crate::rules::Report;
use crate::rules::cursor::At;
use crate::rules::field::Kind;
use crate::rules::read::{Node, whole};
use serde_json::{Value, json};

/// A whole number from `min` to `max`, both included.
pub(in crate::rules) struct Whole<T> {
    /// The least.
    pub min: T,
    /// The most.
    pub max: T,
}

impl<T: Copy + Into<u64> + TryFrom<u64> + Sync> Kind for Whole<T> {
    type Out = T;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<T> {
        let range = self.min.into()..=self.max.into();
        let number = match at.node {
            Node::Number(text) => whole(text).filter(|n| range.contains(n)),
            _ => None,
        };
        let value = number.and_then(|n| T::try_from(n).ok());
        if value.is_none() {
            at.expected(&self.words(), report);
        }
        value
    }

    fn words(&self) -> String {
        match (self.min.into(), self.max.into()) {
            (min, max) if min == max => format!("the number {min}"),
            (min, u64::MAX) => format!("a whole number from {min} to 2^64 - 1"),
            (min, max) => format!("a whole number from {min} to {max}"),
        }
    }

    fn schema(&self) -> Value {
        let (min, max) = (self.min.into(), self.max.into());
        json!({ "type": "integer", "minimum": min, "maximum": max })
    }
}
