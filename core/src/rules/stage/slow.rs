//! `slow`: which calls a breaker takes for slow, and how many are too many.

use super::FIRST;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MICROSECOND};
use crate::rules::field::{Absent, Field, Shape};
use crate::rules::kind::{Decimal, Nanos, Record};
use crate::rules::rule_set::SlowRule;

static OVER: Field<Nanos> = Field {
    name: "over",
    kind: Nanos { min: MICROSECOND, max: HOUR },
    absent: Absent::Required,
    doc: "A call that takes longer is slow.",
    since: FIRST,
};

static RATIO: Field<Decimal> = Field {
    name: "ratio",
    kind: Decimal { max: 1 },
    absent: Absent::Required,
    doc: "The share of slow calls that opens the breaker.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "slow",
    doc: "Which calls are slow, and what share of them is too large.",
    fields: &[&OVER, &RATIO],
    one_of: &[],
};

pub(super) const SLOW: Record<SlowRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<SlowRule> {
    let over_ns = object.get(&OVER, report);
    let ratio = object.get(&RATIO, report);
    Some(SlowRule { over_ns: over_ns?, ratio: ratio? })
}
