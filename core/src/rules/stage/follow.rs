//! `follow`: a rate that gives way to another guard's pressure.

use super::FIRST;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Decimal, Record, Text};
use crate::rules::rule_set::FollowRule;

static GUARD: Field<Text> = Field {
    name: "guard",
    kind: Text { max: 128 },
    absent: Absent::Required,
    doc: "The guard whose pressure is looked at: the share of its concurrency limit that is in use; all of it while its breaker refuses.",
    since: FIRST,
};

static FROM: Field<Decimal> = Field {
    name: "from",
    kind: Decimal { max: 1 },
    absent: Absent::Is(Literal::Number("0.5")),
    doc: "Up to this pressure the whole rate passes.",
    since: FIRST,
};

static TO: Field<Decimal> = Field {
    name: "to",
    kind: Decimal { max: 1 },
    absent: Absent::Is(Literal::Number("0.9")),
    doc: "From this pressure on only the `floor` passes; in between the rate falls evenly.",
    since: FIRST,
};

static FLOOR: Field<Decimal> = Field {
    name: "floor",
    kind: Decimal { max: 1 },
    absent: Absent::Is(Literal::Number("0.1")),
    doc: "The share of the rate that passes under the highest pressure, to the thousandth.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "follow",
    doc: "Another guard, and how much of the rate is left at its pressure.",
    fields: &[&GUARD, &FROM, &TO, &FLOOR],
    one_of: &[],
};

pub(super) const FOLLOW: Record<FollowRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<FollowRule> {
    let guard = object.get(&GUARD, report);
    let (from, to) = (object.get(&FROM, report), object.get(&TO, report));
    let floor = object.get(&FLOOR, report);
    let rule =
        FollowRule { guard: guard?, from: thousandths(from?), to: thousandths(to?), floor: thousandths(floor?).max(1) };
    if rule.from >= rule.to {
        let message = format!("{} thousandths is not below `to`, {}; expected less", rule.from, rule.to);
        object.refuse(FROM.name, message, report);
    }
    Some(rule)
}

fn thousandths(share: f64) -> u32 {
    (share * 1000.0).round() as u32
}
