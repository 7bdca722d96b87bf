//! Names.

use crate::rules::Report;
use crate::rules::cursor::At;
use crate::rules::field::Kind;
use crate::rules::read::Node;
use serde_json::{Value, json};

/// A string of 1 to `max` bytes of UTF-8, without control characters.
pub(in crate::rules) struct Text {
    /// The most bytes.
    pub max: usize,
}

impl Text {
    /// Whether this is such a string.
    pub(in crate::rules) fn allows(&self, text: &str) -> bool {
        (1..=self.max).contains(&text.len()) && !text.contains(char::is_control)
    }
}

impl Kind for Text {
    type Out = String;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<String> {
        match at.node {
            Node::Text(text) if self.allows(text) => return Some(text.clone()),
            Node::Text(text) => {
                let why = format!("it has {} bytes", text.len());
                at.expected_because(&self.words(), &why, report);
            }
            _ => at.expected(&self.words(), report),
        }
        None
    }

    fn words(&self) -> String {
        format!("a string of 1 to {} bytes without control characters", self.max)
    }

    fn schema(&self) -> Value {
        let no_control = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$";
        json!({ "type": "string", "minLength": 1, "maxLength": self.max, "pattern": no_control })
    }
}
