//! `concurrency`: how many calls may be in flight at once.

use super::FIRST;
use super::mode::MODE;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Choice, Record, Whole};
use crate::rules::rule_set::ConcurrencyRule;

static ALGORITHM: Field<Choice<()>> = Field {
    name: "algorithm",
    kind: Choice { words: &[("fixed", ())], later: &["gradient2", "vegas", "aimd"] },
    absent: Absent::Is(Literal::Text("fixed")),
    doc: "How the limit is found: `fixed` is the number in `max`.",
    since: FIRST,
};

static MAX: Field<Whole<u32>> = Field {
    name: "max",
    kind: Whole { min: 1, max: 16_000_000 },
    absent: Absent::Required,
    doc: "The most calls in flight at once, over all threads and processes on the segment.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "concurrency",
    doc: "Limits the calls in flight.",
    fields: &[&ALGORITHM, &MAX, &MODE],
    later: &["min"],
    one_of: &[],
};

pub(super) const CONCURRENCY: Record<ConcurrencyRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<ConcurrencyRule> {
    let algorithm = object.get(&ALGORITHM, report);
    let max = object.get(&MAX, report);
    let mode = object.get(&MODE, report);
    algorithm?;
    Some(ConcurrencyRule { max: max?, mode: mode? })
}
