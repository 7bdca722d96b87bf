//! Lists.

use crate::rules::Report;
use crate::rules::cursor::At;
use crate::rules::field::{Kind, Shape};
use crate::rules::path::Path;
use crate::rules::read::Node;
use serde_json::{Value, json};

/// A list of `min` to `max` items of a kind.
pub(in crate::rules) struct List<K> {
    /// What each item is.
    pub item: K,
    /// The fewest items.
    pub min: usize,
    /// The most items.
    pub max: usize,
}

impl<K: Kind> Kind for List<K> {
    type Out = Vec<K::Out>;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<Vec<K::Out>> {
        match at.node {
            Node::List(items) if (self.min..=self.max).contains(&items.len()) => {
                return self.items(items, at.path, report);
            }
            Node::List(items) => {
                let why = format!("it has {} items", items.len());
                at.expected_because(&self.words(), &why, report);
            }
            Node::Object(_) => {
                at.expected_because(&self.words(), "put it in a list: [{...}]", report);
            }
            _ => at.expected(&self.words(), report),
        }
        None
    }

    fn words(&self) -> String {
        format!("a list of {} to {} items", self.min, self.max)
    }

    fn schema(&self) -> Value {
        let items = self.item.schema();
        json!({ "type": "array", "items": items, "minItems": self.min, "maxItems": self.max })
    }

    fn shape(&self) -> Option<&'static Shape> {
        self.item.shape()
    }
}

impl<K: Kind> List<K> {
    /// Reads every item, also after a wrong one.
    fn items(&self, items: &[Node], path: &Path<'_>, report: &mut Report) -> Option<Vec<K::Out>> {
        let mut read = Vec::with_capacity(items.len());
        for (index, node) in items.iter().enumerate() {
            let path = Path::Index(path, index);
            read.extend(self.item.read(At { node, path: &path }, report));
        }
        (read.len() == items.len()).then_some(read)
    }
}
