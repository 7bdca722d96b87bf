//! `overrides`: keys with limits of their own.

use super::FIRST;
use super::rate::{check_flow, filling};
use crate::rate::keyed::MAX_OVERRIDES;
use crate::rules::Report;
use crate::rules::cursor::{At, Object};
use crate::rules::duration::{HOUR, MICROSECOND};
use crate::rules::field::{Absent, Field, Kind, Shape};
use crate::rules::kind::{Decimal, Nanos, Record, Text, Whole};
use crate::rules::path::Path;
use serde_json::{Value, json};

/// A key that rules name.
pub(super) const KEY: Text = Text { max: 256 };

static LIMIT: Field<Decimal> = Field {
    name: "limit",
    kind: Decimal { max: 10_000_000_000 },
    absent: Absent::Required,
    doc: "Units that flow in during `per` for this key.",
    since: FIRST,
};

static PER: Field<Nanos> = Field {
    name: "per",
    kind: Nanos { min: MICROSECOND, max: 31 * 24 * HOUR },
    absent: Absent::Derived("that of the limit"),
    doc: "The time in which `limit` units flow in.",
    since: FIRST,
};

static BURST: Field<Whole<u64>> = Field {
    name: "burst",
    kind: Whole { min: 1, max: 1_000_000_000_000 },
    absent: Absent::Derived("`limit` rounded up, at least 1"),
    doc: "Units that the key's bucket holds.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "override",
    doc: "The limit of one key, in place of the others'.",
    fields: &[&LIMIT, &PER, &BURST],
    one_of: &[],
};

const OVERRIDE: Record<Limits> = Record { shape: &SHAPE, build };

/// What one key has of its own.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub limit: f64,
    /// None: that of the limit.
    pub per_ns: Option<u64>,
    pub burst: u64,
}

fn build(object: &Object<'_>, report: &mut Report) -> Option<Limits> {
    let limit = object.get(&LIMIT, report);
    let per_ns = object.get(&PER, report);
    let burst = object.get(&BURST, report);
    let limit = limit?;
    if let Some(per_ns) = per_ns {
        check_flow(limit, per_ns, object, report);
    }
    Some(Limits { limit, per_ns, burst: burst.unwrap_or(filling(limit)) })
}

/// An object of such keys.
pub(super) struct Overrides;

impl Kind for Overrides {
    type Out = Vec<(String, Limits)>;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<Self::Out> {
        let members = at.members(report)?;
        let count = members.fields.len();
        if count > MAX_OVERRIDES {
            report.add(at.path, || format!("expected {}, got {count}", self.words()));
            return None;
        }
        let mut read = Vec::with_capacity(count);
        for (name, node) in &members.fields {
            let path = Path::Key(at.path, name);
            if !KEY.allows(name) {
                report.add(&path, || format!("expected a key to be {}, got one of {} bytes", KEY.words(), name.len()));
            }
            read.extend(OVERRIDE.read(At { node, path: &path }, report).map(|limits| (name.clone(), limits)));
        }
        Some(read)
    }

    fn words(&self) -> String {
        format!("an object of at most {MAX_OVERRIDES} keys")
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "maxProperties": MAX_OVERRIDES,
            "propertyNames": KEY.schema(),
            "patternProperties": { "^x-": true, "^(?!x-)": OVERRIDE.schema() },
        })
    }

    fn shape(&self) -> Option<&'static Shape> {
        Some(&SHAPE)
    }
}
