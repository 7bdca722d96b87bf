//! `faults`: delays and aborts on purpose.

use super::FIRST;
use super::mode::MODE;
use crate::fault::when::MAX_VALUE;
use crate::guard::Outcome;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MICROSECOND};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Choice, Decimal, List, Nanos, Record, Text, Whole};
use crate::rules::rule_set::{FaultRule, FaultWhen};

static ATTRIBUTE: Field<Text> = Field {
    name: "attribute",
    kind: Text { max: 128 },
    absent: Absent::Required,
    doc: "The name of the attribute, as calls carry it.",
    since: FIRST,
};

static EQUALS: Field<Text> = Field {
    name: "equals",
    kind: Text { max: MAX_VALUE },
    absent: Absent::Off("not compared"),
    doc: "The whole value.",
    since: FIRST,
};

static PREFIX: Field<Text> = Field {
    name: "prefix",
    kind: Text { max: MAX_VALUE },
    absent: Absent::Off("not compared"),
    doc: "How the value begins.",
    since: FIRST,
};

static WHEN_SHAPE: Shape = Shape {
    name: "when",
    doc: "Which calls are meant: those whose attribute has this value. Calls without the attribute are not.",
    fields: &[&ATTRIBUTE, &EQUALS, &PREFIX],
    one_of: &["equals", "prefix"],
};

static WHEN: Field<Record<FaultWhen>> = Field {
    name: "when",
    kind: Record { shape: &WHEN_SHAPE, build: build_when },
    absent: Absent::Off("all calls"),
    doc: "Which calls are meant.",
    since: FIRST,
};

static SHARE: Field<Decimal> = Field {
    name: "share",
    kind: Decimal { max: 1 },
    absent: Absent::Is(Literal::Number("1")),
    doc: "The share of those that is hit, kept to a millionth and met exactly in the mean.",
    since: FIRST,
};

static DELAY: Field<Nanos> = Field {
    name: "delay",
    kind: Nanos { min: MICROSECOND, max: HOUR },
    absent: Absent::Off("no delay"),
    doc: "How long a call that is hit waits before its work: the permit's wait. Where that would reach the call's deadline it is \
          refused at once.",
    since: FIRST,
};

static DELAY_MAX: Field<Nanos> = Field {
    name: "delay_max",
    kind: Nanos { min: MICROSECOND, max: HOUR },
    absent: Absent::Derived("`delay`"),
    doc: "Makes the delay anything from `delay` to this.",
    since: FIRST,
};

static ABORT: Field<Choice<Outcome>> = Field {
    name: "abort",
    kind: Choice {
        words: &[("failure", Outcome::Failure), ("timeout", Outcome::Timeout), ("overloaded", Outcome::Overloaded)],
    },
    absent: Absent::Off("no abort"),
    doc: "Refuses the call; the refusal's reason is the number of this outcome.",
    since: FIRST,
};

static MAX_ACTIVE: Field<Whole<u32>> = Field {
    name: "max_active",
    kind: Whole { min: 1, max: 1_000_000 },
    absent: Absent::Derived("`100` of a delay"),
    doc: "The most calls in flight that this fault has delayed; others are spared.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "fault",
    doc: "A fault on purpose: it does something only where the runtime was opened with faults allowed. Of a list the first that hits \
          a call counts.",
    fields: &[&WHEN, &SHARE, &DELAY, &DELAY_MAX, &ABORT, &MAX_ACTIVE, &MODE],
    one_of: &["delay", "abort"],
};

pub(super) const FAULTS: List<Record<FaultRule>> = List { item: Record { shape: &SHAPE, build }, min: 1, max: 4 };

fn build_when(object: &Object<'_>, report: &mut Report) -> Option<FaultWhen> {
    let attribute = object.get(&ATTRIBUTE, report);
    let (equals, prefix) = (object.get(&EQUALS, report), object.get(&PREFIX, report));
    if equals.is_some() && prefix.is_some() {
        object.refuse(PREFIX.name, String::from("stands beside `equals`; expected one of the two"), report);
    }
    let is_prefix = prefix.is_some();
    Some(FaultWhen { attribute: attribute?, value: equals.or(prefix)?, is_prefix })
}

fn build(object: &Object<'_>, report: &mut Report) -> Option<FaultRule> {
    let when = object.get(&WHEN, report);
    let share = object.get(&SHARE, report);
    let delay = object.get(&DELAY, report);
    let delay_max = object.get(&DELAY_MAX, report);
    let abort = object.get(&ABORT, report);
    let max_active = object.get(&MAX_ACTIVE, report);
    let mode = object.get(&MODE, report);
    check(object, (delay, delay_max), report);
    let least = delay.unwrap_or(0);
    Some(FaultRule {
        when,
        share: share?,
        delay_ns: (least, delay_max.unwrap_or(least)),
        abort,
        max_active: max_active.unwrap_or(100),
        mode: mode?,
    })
}

/// A fault delays or aborts; what is of delays alone has no place beside an abort.
fn check(object: &Object<'_>, (delay, delay_max): (Option<u64>, Option<u64>), report: &mut Report) {
    if object.names(ABORT.name) {
        for field in [DELAY.name, DELAY_MAX.name, MAX_ACTIVE.name] {
            if object.names(field) {
                let why = "stands beside `abort`, and an abort takes no time; expected a fault of its own";
                object.refuse(field, String::from(why), report);
            }
        }
    } else if let (Some(least), Some(most)) = (delay, delay_max)
        && most < least
    {
        object.refuse(DELAY_MAX.name, String::from("is less than `delay`; expected at least that"), report);
    }
}
