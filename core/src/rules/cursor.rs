//! Walking the tree with the path at hand.

use super::Report;
use super::field::{Absent, Field, Kind, Shape};
use super::path::{Path, quoted};
use super::read::{Members, Node};
use super::suggest::nearest;

/// A place in the document.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    /// What stands there.
    pub node: &'a Node,
    /// Where it is.
    pub path: &'a Path<'a>,
}

impl<'a> At<'a> {
    /// Reports that something else was expected here.
    pub(super) fn expected(&self, words: &str, report: &mut Report) {
        self.expected_because(words, "", report);
    }

    /// The same, with what to do about it.
    pub(super) fn expected_because(&self, words: &str, why: &str, report: &mut Report) {
        let mark = if why.is_empty() { "" } else { ": " };
        report.add(self.path, || format!("expected {words}, got {}{mark}{why}", self.node.words()));
    }

    /// The object of this shape that stands here. Reports what is not an object, and
    /// in one: repeated, unknown and missing names.
    pub(super) fn object(&self, shape: &Shape, report: &mut Report) -> Option<Object<'a>> {
        let members = self.members(report)?;
        let object = Object { members, path: self.path };
        for name in members.fields.keys().filter(|name| !shape.knows(name)) {
            report.add(&Path::Key(self.path, name), || unknown(name, shape));
        }
        object.has_one_of(shape, report);
        Some(object)
    }

    /// The members of the object that stands here, whatever their names.
    pub(super) fn members(&self, report: &mut Report) -> Option<&'a Members> {
        let Node::Object(members) = self.node else {
            self.expected("an object", report);
            return None;
        };
        for name in &members.repeated {
            report.add(&Path::Key(self.path, name), || String::from("the name stands here more than once; keep one"));
        }
        Some(members)
    }
}

fn unknown(name: &str, shape: &Shape) -> String {
    let known = || shape.names();
    match nearest(name, known()) {
        Some(meant) => format!("unknown field; did you mean {}?", quoted(meant)),
        None => format!("unknown field; known are {}", Vec::from_iter(known()).join(", ")),
    }
}

/// An object whose names have been looked at.
pub(super) struct Object<'a> {
    members: &'a Members,
    path: &'a Path<'a>,
}

impl Object<'_> {
    /// The field's value, or its default. `None`: not there, or wrong and reported.
    pub(super) fn get<K: Kind>(&self, field: &Field<K>, report: &mut Report) -> Option<K::Out> {
        let path = Path::Key(self.path, field.name);
        let read = |node: &Node, report: &mut Report| field.kind.read(At { node, path: &path }, report);
        match (self.members.fields.get(field.name), &field.absent) {
            (Some(node), _) => read(node, report),
            (None, Absent::Is(literal)) => read(&literal.node(), report),
            (None, Absent::Required) => {
                report.add(&path, || format!("missing; expected {}", field.kind.words()));
                None
            }
            (None, Absent::Derived(_) | Absent::Off(_)) => None,
        }
    }

    /// Whether the document itself says something of the field.
    pub(super) fn names(&self, field: &str) -> bool {
        self.members.fields.contains_key(field)
    }

    /// Reports an error that the field's own range cannot show.
    pub(super) fn refuse(&self, field: &str, message: String, report: &mut Report) {
        report.add(&Path::Key(self.path, field), || message);
    }

    fn has_one_of(&self, shape: &Shape, report: &mut Report) {
        let there = |name: &&str| self.names(name);
        if !shape.one_of.is_empty() && !shape.one_of.iter().any(there) {
            let names = shape.one_of.join(", ");
            report.add(self.path, || format!("at least one of {names} has to be there"));
        }
    }
}
