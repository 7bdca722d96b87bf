//! The document as a whole.

use super::FIRST;
use super::guard::{self, GUARD};
use super::guards::Guards;
use super::requires::Feature;
use crate::rules::Report;
use crate::rules::cursor::{At, Object};
use crate::rules::field::{Absent, Field, Kind, Literal, Shape};
use crate::rules::kind::{List, Record, Whole};
use crate::rules::path::Path;
use crate::rules::read::Node;
use crate::rules::rule_set::RuleSet;

static SCHEMA: Field<Whole<u8>> = Field {
    name: "schema",
    kind: Whole { min: 1, max: 1 },
    absent: Absent::Is(Literal::Number("1")),
    doc: "The version of this format.",
    since: FIRST,
};

static VERSION: Field<Whole<u64>> = Field {
    name: "version",
    kind: Whole { min: 1, max: u64::MAX },
    absent: Absent::Required,
    doc: "The version of these rules: raise it with each change.",
    since: FIRST,
};

static REQUIRES: Field<List<Feature>> = Field {
    name: "requires",
    kind: List { item: Feature, min: 0, max: 64 },
    absent: Absent::Off("nothing required"),
    doc: "Features without which these rules must not be applied. If the library lacks one, it refuses \
          the document whole, so that a fleet of mixed releases is never half right.",
    since: FIRST,
};

static DEFAULTS: Field<Record<guard::Draft>> = Field {
    name: "defaults",
    kind: GUARD,
    absent: Absent::Off("no defaults"),
    doc: "What guards do that do not say otherwise, also those that the document does not name. A guard's \
          own field replaces the default of the same name whole.",
    since: FIRST,
};

static GUARDS: Field<Guards> = Field {
    name: "guards",
    kind: Guards,
    absent: Absent::Off("no guard named"),
    doc: "The guards by name: 1 to 128 bytes of UTF-8 without control characters. A name that \
          starts with `x-` is an ignored field, not a guard.",
    since: FIRST,
};

/// The document: the root of the table of fields.
pub(in crate::rules) static SHAPE: Shape = Shape {
    name: "document",
    doc: "The whole document.",
    fields: &[&SCHEMA, &VERSION, &REQUIRES, &DEFAULTS, &GUARDS],
    one_of: &[],
};

const DOCUMENT: Record<RuleSet> = Record { shape: &SHAPE, build };

/// Reads the tree as rules, or reports everything that is wrong with it.
pub(in crate::rules) fn rule_set(node: &Node, report: &mut Report) -> Option<RuleSet> {
    let at = At { node, path: &Path::Root };
    let rules = DOCUMENT.read(at, report)?;
    Some(RuleSet { canonical: node.to_value().to_string(), ..rules })
}

fn build(object: &Object<'_>, report: &mut Report) -> Option<RuleSet> {
    let schema = object.get(&SCHEMA, report);
    let version = object.get(&VERSION, report);
    object.get(&REQUIRES, report);
    let defaults = object.get(&DEFAULTS, report).unwrap_or_default();
    let guards = object.get(&GUARDS, report).unwrap_or_default();
    schema?;
    let merged = guards.into_iter().map(|(name, own)| (name, own.over(&defaults).settle()));
    Some(RuleSet { version: version?, guards: merged.collect(), defaults: defaults.settle(), canonical: String::new() })
}
