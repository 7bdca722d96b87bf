//! `throttle`: sends a refusing callee fewer calls.

use super::FIRST;
use super::mode::MODE;
use super::outcomes::{BAD_OUTCOMES, bits};
use crate::guard::Outcome;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, SECOND};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Choice, Decimal, List, Nanos, Record};
use crate::rules::rule_set::ThrottleRule;

static K: Field<Decimal> = Field {
    name: "k",
    kind: Decimal { max: 100 },
    absent: Absent::Is(Literal::Number("2")),
    doc: "How many times as many calls as it accepts the callee may be sent; at least 1. Of the window's calls a new one is \
          refused with probability (requests - k * accepts) / (requests + 1).",
    since: FIRST,
};

static WINDOW: Field<Nanos> = Field {
    name: "window",
    kind: Nanos { min: SECOND, max: 24 * HOUR },
    absent: Absent::Is(Literal::Text("2m")),
    doc: "Width of the sliding window, which moves by twelfths.",
    since: FIRST,
};

static REFUSED_AS: Field<List<Choice<Outcome>>> = Field {
    name: "refused_as",
    kind: BAD_OUTCOMES,
    absent: Absent::Derived("`overloaded` and `timeout`"),
    doc: "The outcomes by which a callee shows that it did not accept a call. All others are accepts.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "throttle",
    doc: "Refuses a share of the calls here while the callee refuses most of them there.",
    fields: &[&K, &WINDOW, &REFUSED_AS, &MODE],
    one_of: &[],
};

pub(super) const THROTTLE: Record<ThrottleRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<ThrottleRule> {
    let k = object.get(&K, report);
    let window_ns = object.get(&WINDOW, report);
    let refused_as = object.get(&REFUSED_AS, report);
    let mode = object.get(&MODE, report);
    if let Some(k) = k.filter(|&k| k < 1.0) {
        let why = format!(
            "a callee that accepts every call would be sent a share of them only; expected at least 1, got {k}"
        );
        object.refuse(K.name, why, report);
    }
    let refused_as = bits(&refused_as.unwrap_or(vec![Outcome::Overloaded, Outcome::Timeout]));
    Some(ThrottleRule { k: k?, window_ns: window_ns?, refused_as, mode: mode? })
}
