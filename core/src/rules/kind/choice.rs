//! One word of a few.

use crate::rules::Report;
use crate::rules::cursor::At;
use crate::rules::field::Kind;
use crate::rules::path::quoted;
use crate::rules::read::Node;
use serde_json::{Value, json};

/// One of these words, each with what it means.
pub(in crate::rules) struct Choice<T: 'static> {
    /// The words that this version knows.
    pub words: &'static [(&'static str, T)],
}

impl<T: Copy + Sync> Kind for Choice<T> {
    type Out = T;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<T> {
        let text = match at.node {
            Node::Text(text) => text.as_str(),
            _ => "",
        };
        let found = self.words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            at.expected(&self.words(), report);
        }
        found.map(|(_, meaning)| *meaning)
    }

    fn words(&self) -> String {
        let words = self.words.iter().map(|(word, _)| quoted(word));
        Vec::from_iter(words).join(" or ")
    }

    fn schema(&self) -> Value {
        let words = self.words.iter().map(|(word, _)| *word);
        json!({ "enum": Vec::from_iter(words) })
    }
}
