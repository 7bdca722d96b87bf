//! `deadline`: refuses calls that cannot finish in the time that is left.

use super::FIRST;
use super::mode::MODE;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Decimal, Record};
use crate::rules::rule_set::DeadlineRule;

static USUAL: Field<Decimal> = Field {
    name: "usual",
    kind: Decimal { max: 1 },
    absent: Absent::Required,
    doc: "Which quantile of the guard's durations is what a call usually takes: 0.5 is the median. It is read from the \
          guard's histogram once a second, from the 32nd call on, and follows the last 15 to 30 seconds.",
    since: FIRST,
};

static FACTOR: Field<Decimal> = Field {
    name: "factor",
    kind: Decimal { max: 1000 },
    absent: Absent::Is(Literal::Number("1")),
    doc: "Refuses when less time is left than so many times the usual. One call in 16 of those passes all the same, so that a \
          wrong estimate mends itself.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "deadline",
    doc: "Refuses calls that have a deadline and too little time left for what they usually take.",
    fields: &[&USUAL, &FACTOR, &MODE],
    one_of: &[],
};

pub(super) const DEADLINE: Record<DeadlineRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<DeadlineRule> {
    let usual = object.get(&USUAL, report);
    let factor = object.get(&FACTOR, report);
    let mode = object.get(&MODE, report);
    Some(DeadlineRule { usual: usual?, factor: factor?, mode: mode? })
}
