//! `backoff`: how long to wait before trying again.

use super::FIRST;
use crate::retry::backoff::{Backoff, Growth, Jitter};
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::HOUR;
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Choice, Decimal, Nanos, Record};

/// Which growth, before its factor is read.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Constant,
    Linear,
    Exponential,
    Decorrelated,
}

static GROWTH: Field<Choice<Way>> = Field {
    name: "growth",
    kind: Choice {
        words: &[
            ("exponential", Way::Exponential),
            ("constant", Way::Constant),
            ("linear", Way::Linear),
            ("decorrelated", Way::Decorrelated),
        ],
    },
    absent: Absent::Is(Literal::Text("exponential")),
    doc: "How waits grow: by `factor`; not at all; by `base` each; or at random between `base` and three times the wait before.",
    since: FIRST,
};

static BASE: Field<Nanos> = Field {
    name: "base",
    kind: Nanos { min: 0, max: HOUR },
    absent: Absent::Is(Literal::Text("50ms")),
    doc: "The first wait. `0s` with `constant` and without jitter tries again at once.",
    since: FIRST,
};

static MAX: Field<Nanos> = Field {
    name: "max",
    kind: Nanos { min: 0, max: HOUR },
    absent: Absent::Derived("the larger of `2s` and `base`"),
    doc: "The longest wait, apart from what the callee asks for.",
    since: FIRST,
};

static FACTOR: Field<Decimal> = Field {
    name: "factor",
    kind: Decimal { max: 1000 },
    absent: Absent::Derived("2"),
    doc: "Of exponential growth: how many times as long each wait is as the one before; at least 1.",
    since: FIRST,
};

static JITTER: Field<Choice<Jitter>> = Field {
    name: "jitter",
    kind: Choice { words: &[("full", Jitter::Full), ("equal", Jitter::Equal), ("none", Jitter::None)] },
    absent: Absent::Derived("`full`; `none` of `decorrelated`"),
    doc: "What chance makes of a wait w: anything from 0 to w, from w/2 to w, or w.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "backoff",
    doc: "How long to wait before trying again.",
    fields: &[&GROWTH, &BASE, &MAX, &FACTOR, &JITTER],
    one_of: &[],
};

pub(super) const BACKOFF: Record<Backoff> = Record { shape: &SHAPE, build };

/// Where nothing is said.
pub(super) fn usual() -> Option<Backoff> {
    Backoff::new(Growth::exponential(2.0)?, Jitter::Full, 50_000_000, USUAL_MAX_NS)
}

const USUAL_MAX_NS: u64 = 2_000_000_000;

fn build(object: &Object<'_>, report: &mut Report) -> Option<Backoff> {
    let way = object.get(&GROWTH, report);
    let base = object.get(&BASE, report);
    let max = object.get(&MAX, report);
    let factor = object.get(&FACTOR, report);
    let jitter = object.get(&JITTER, report);
    let (way, base) = (way?, base?);
    if object.names(FACTOR.name) && way != Way::Exponential {
        object.refuse(FACTOR.name, String::from("this growth has none; expected it of exponential only"), report);
    }
    let growth = match way {
        Way::Constant => Growth::Constant,
        Way::Linear => Growth::Linear,
        Way::Decorrelated => Growth::Decorrelated,
        Way::Exponential => match Growth::exponential(factor.unwrap_or(2.0)) {
            Some(growth) => growth,
            None => {
                object.refuse(FACTOR.name, String::from("waits would shrink; expected at least 1"), report);
                return None;
            }
        },
    };
    let plain = if way == Way::Decorrelated { Jitter::None } else { Jitter::Full };
    let (jitter, max) = (jitter.unwrap_or(plain), max.unwrap_or(base.max(USUAL_MAX_NS)));
    let made = Backoff::new(growth, jitter, base, max);
    if made.is_none() {
        let (field, why) = if max < base {
            (MAX.name, "is less than `base`; expected at least that")
        } else if way == Way::Decorrelated {
            (JITTER.name, "decorrelated waits are random by themselves; expected none")
        } else {
            (BASE.name, "there is nothing to grow or to spread; expected more than 0, or `constant` without jitter")
        };
        object.refuse(field, String::from(why), report);
    }
    made
}
