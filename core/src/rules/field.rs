//! The table of fields: what is said once about each, and read by the validator,
//! the JSON Schema and the reference page alike.

use super::Report;
use super::cursor::At;
use super::read::Node;
use serde_json::Value;

/// A kind of value: its type and its range.
pub(super) trait Kind: Sync {
    /// What a valid value becomes.
    type Out;

    /// Reads the value, or reports everything that is wrong with it.
    fn read(&self, at: At<'_>, report: &mut Report) -> Option<Self::Out>;

    /// Type and range in words, to follow "expected".
    fn words(&self) -> String;

    /// Type and range as JSON Schema.
    fn schema(&self) -> Value;

    /// The object in it, when it holds one.
    fn shape(&self) -> Option<&'static Shape> {
        None
    }
}

/// A value written in the table.
#[derive(Clone, Copy)]
pub(super) enum Literal {
    /// A string.
    Text(&'static str),
    /// A number.
    Number(&'static str),
}

impl Literal {
    /// The literal as if a document held it.
    pub(super) fn node(self) -> Node {
        match self {
            Literal::Text(text) => Node::Text(text.to_string()),
            Literal::Number(text) => Node::Number(text.to_string()),
        }
    }
}

/// What a field means that is not there.
pub(super) enum Absent {
    /// It has to be there.
    Required,
    /// This value.
    Is(Literal),
    /// A value made from others, in words.
    Derived(&'static str),
    /// Nothing is done, in words.
    Off(&'static str),
}

/// One field of an object.
pub(super) struct Field<K: Kind> {
    /// Its name.
    pub name: &'static str,
    /// Its type and range.
    pub kind: K,
    /// What its absence means.
    pub absent: Absent,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// The first release that has it.
    pub since: &'static str,
}

/// A field of any kind, for those who go through the table.
pub(super) trait AnyField: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What its absence means.
    fn absent(&self) -> &Absent;
    /// What it does.
    fn doc(&self) -> &'static str;
    /// The first release that has it.
    fn since(&self) -> &'static str;
    /// Type and range in words.
    fn words(&self) -> String;
    /// Type and range as JSON Schema.
    fn schema(&self) -> Value;
    /// The object in it, when it holds one.
    fn shape(&self) -> Option<&'static Shape>;
}

impl<K: Kind> AnyField for Field<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn absent(&self) -> &Absent {
        &self.absent
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn since(&self) -> &'static str {
        self.since
    }

    fn words(&self) -> String {
        self.kind.words()
    }

    fn schema(&self) -> Value {
        self.kind.schema()
    }

    fn shape(&self) -> Option<&'static Shape> {
        self.kind.shape()
    }
}

/// An object: its fields.
pub(super) struct Shape {
    /// Its name in the reference and the schema.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its fields, in the order of the reference.
    pub fields: &'static [&'static dyn AnyField],
    /// Of these fields at least one has to be there; none named: no such demand.
    pub one_of: &'static [&'static str],
}

impl Shape {
    /// Whether this version knows the field.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// The names of the fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name())
    }

    /// This shape and those within it, each once, the outer first.
    pub(super) fn all(&'static self) -> Vec<&'static Shape> {
        let mut found = vec![self];
        let mut next = 0;
        while let Some(shape) = found.get(next).copied() {
            for inner in shape.fields.iter().filter_map(|field| field.shape()) {
                if !found.iter().any(|known| known.name == inner.name) {
                    found.push(inner);
                }
            }
            next += 1;
        }
        found
    }
}
