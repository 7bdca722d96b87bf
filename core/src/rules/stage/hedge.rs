//! `hedge`: a second attempt before the first has ended.

use super::FIRST;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MILLISECOND, SECOND};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Decimal, Nanos, Record, Whole};
use crate::rules::rule_set::{HedgeDelay, HedgeRule};

static DELAY: Field<Nanos> = Field {
    name: "delay",
    kind: Nanos { min: 0, max: HOUR },
    absent: Absent::Off("by `quantile`"),
    doc: "How long an attempt is out before another is sent.",
    since: FIRST,
};

static QUANTILE: Field<Decimal> = Field {
    name: "quantile",
    kind: Decimal { max: 1 },
    absent: Absent::Off("by `delay`"),
    doc: "The same as a quantile of the guard's durations: 0.95 sends another for the slowest twentieth. It is read from the guard's \
          histogram once a second, from the 32nd call on.",
    since: FIRST,
};

static MIN: Field<Nanos> = Field {
    name: "min",
    kind: Nanos { min: 0, max: HOUR },
    absent: Absent::Derived("`1ms`"),
    doc: "With `quantile`: the shortest delay.",
    since: FIRST,
};

static MAX_DELAY: Field<Nanos> = Field {
    name: "max_delay",
    kind: Nanos { min: 0, max: HOUR },
    absent: Absent::Derived("`1s`"),
    doc: "With `quantile`: the longest delay, also as long as no quantile is known.",
    since: FIRST,
};

static MAX: Field<Whole<u32>> = Field {
    name: "max",
    kind: Whole { min: 1, max: 10 },
    absent: Absent::Is(Literal::Number("1")),
    doc: "The most attempts of one call besides the first.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "hedge",
    doc: "Sends another attempt before the first has ended; the first answer counts. Each is paid from the budget of `retry`, or from one \
          with its defaults. Of calls that may be made twice only.",
    fields: &[&DELAY, &QUANTILE, &MIN, &MAX_DELAY, &MAX],
    one_of: &["delay", "quantile"],
};

pub(super) const HEDGE: Record<HedgeRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<HedgeRule> {
    let delay = object.get(&DELAY, report);
    let quantile = object.get(&QUANTILE, report);
    let min = object.get(&MIN, report);
    let max_delay = object.get(&MAX_DELAY, report);
    let max = object.get(&MAX, report);
    if object.names(DELAY.name) {
        for field in [QUANTILE.name, MIN.name, MAX_DELAY.name] {
            if object.names(field) {
                object.refuse(field, String::from("stands beside `delay`; expected one of the two"), report);
            }
        }
        return Some(HedgeRule { delay: HedgeDelay::Fixed(delay?), max: max? });
    }
    let (min_ns, max_ns) = (min.unwrap_or(MILLISECOND), max_delay.unwrap_or(SECOND));
    if min_ns > max_ns {
        object.refuse(MIN.name, String::from("is more than `max_delay`; expected at most that"), report);
    }
    Some(HedgeRule { delay: HedgeDelay::Live { quantile: quantile?, min_ns, max_ns }, max: max? })
}
