//! `concurrency`: how many calls may be in flight at once.

use super::FIRST;
use super::mode::MODE;
use super::of_some::check_names;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MICROSECOND};
use crate::rules::field::{Absent, Field, Kind, Literal, Shape};
use crate::rules::kind::{Choice, Nanos, Record, Whole};
use crate::rules::rule_set::{ConcurrencyRule, LimitAlgorithm};

/// The highest limit of an adaptive one that does not say it, and the one that it begins with: as in the field.
const USUAL_MAX: u32 = 1000;
const USUAL_INITIAL: u32 = 20;

/// Which algorithm, before what it needs is read.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Fixed,
    Aimd,
    Vegas,
    Gradient2,
}

static ALGORITHM: Field<Choice<Way>> = Field {
    name: "algorithm",
    kind: Choice {
        words: &[("fixed", Way::Fixed), ("aimd", Way::Aimd), ("vegas", Way::Vegas), ("gradient2", Way::Gradient2)],
    },
    absent: Absent::Is(Literal::Text("fixed")),
    doc: "How the limit is found: `fixed` is the number in `max`. The others adapt it between `min` and `max` by how calls \
          end and how long they take: `aimd` by timeouts and overloads (and `target`), `vegas` by the queue that the \
          durations tell of, `gradient2` by how much longer than usual they are.",
    since: FIRST,
};

static MAX: Field<Whole<u32>> = Field {
    name: "max",
    kind: Whole { min: 1, max: 16_000_000 },
    absent: Absent::Derived("required of `fixed`; `1000` of the others"),
    doc: "The most calls in flight at once, over all threads and processes on the segment.",
    since: FIRST,
};

static MIN: Field<Whole<u32>> = Field {
    name: "min",
    kind: Whole { min: 1, max: 16_000_000 },
    absent: Absent::Derived("`1`"),
    doc: "Of an adaptive limit: it does not fall below this.",
    since: FIRST,
};

static INITIAL: Field<Whole<u32>> = Field {
    name: "initial",
    kind: Whole { min: 1, max: 16_000_000 },
    absent: Absent::Derived("`20`, or the nearest within `min` and `max`"),
    doc: "Of an adaptive limit: what it begins with.",
    since: FIRST,
};

static TARGET: Field<Nanos> = Field {
    name: "target",
    kind: Nanos { min: MICROSECOND, max: HOUR },
    absent: Absent::Off("only timeouts and overloads lower it"),
    doc: "Of `aimd`: where calls take longer than this on average, the limit falls.",
    since: FIRST,
};

static SHED: Field<Choice<bool>> = Field {
    name: "shed",
    kind: Choice { words: &[("criticality", true), ("none", false)] },
    absent: Absent::Derived("`criticality` of an adaptive limit, `none` of a fixed one"),
    doc: "`criticality` keeps room for calls that matter more: at the limit sheddable calls are refused first, then default \
          ones, by their levels within. `none` treats all calls alike.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "concurrency",
    doc: "Limits the calls in flight.",
    fields: &[&ALGORITHM, &MAX, &MIN, &INITIAL, &TARGET, &SHED, &MODE],
    one_of: &[],
};

pub(super) const CONCURRENCY: Record<ConcurrencyRule> = Record { shape: &SHAPE, build };

/// What only some algorithms have, and which.
const OF_SOME: [(&str, &[Way]); 3] = [
    (MIN.name, &[Way::Aimd, Way::Vegas, Way::Gradient2]),
    (INITIAL.name, &[Way::Aimd, Way::Vegas, Way::Gradient2]),
    (TARGET.name, &[Way::Aimd]),
];

fn build(object: &Object<'_>, report: &mut Report) -> Option<ConcurrencyRule> {
    let way = object.get(&ALGORITHM, report);
    let max = object.get(&MAX, report);
    let min = object.get(&MIN, report);
    let initial = object.get(&INITIAL, report);
    let target_ns = object.get(&TARGET, report);
    let shed = object.get(&SHED, report);
    let mode = object.get(&MODE, report);
    let way = way?;
    check_names(way, &ALGORITHM, &OF_SOME, object, report);
    if way == Way::Fixed && !object.names(MAX.name) {
        object.refuse(MAX.name, format!("missing; expected {}", MAX.kind.words()), report);
    }
    let range = Range::of(way, min, max, initial);
    range.check(object, report);
    let algorithm = match way {
        Way::Fixed => LimitAlgorithm::Fixed,
        Way::Aimd => LimitAlgorithm::Aimd { target_ns },
        Way::Vegas => LimitAlgorithm::Vegas,
        Way::Gradient2 => LimitAlgorithm::Gradient2,
    };
    let Range { min, max, initial } = range;
    Some(ConcurrencyRule { algorithm, min, max, initial, sheds: shed.unwrap_or(way != Way::Fixed), mode: mode? })
}

/// Where the limit may be, and where it begins.
struct Range {
    min: u32,
    max: u32,
    initial: u32,
}

impl Range {
    fn of(way: Way, min: Option<u32>, max: Option<u32>, initial: Option<u32>) -> Range {
        let min = min.unwrap_or(1);
        let max = max.unwrap_or(USUAL_MAX.max(min));
        if way == Way::Fixed {
            return Range { min: max, max, initial: max };
        }
        Range { min, max, initial: initial.unwrap_or(USUAL_INITIAL.min(max).max(min)) }
    }

    fn check(&self, object: &Object<'_>, report: &mut Report) {
        let Range { min, max, initial } = *self;
        if min > max {
            object.refuse(MIN.name, format!("{min} is more than `max`, which is {max}"), report);
        } else if !(min..=max).contains(&initial) {
            object.refuse(INITIAL.name, format!("{initial} is not within {min} and {max}"), report);
        }
    }
}
