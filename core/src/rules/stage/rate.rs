//! `rate`: how much may pass in a time.

use super::FIRST;
use super::mode::MODE;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MICROSECOND, SECOND, format};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Choice, Decimal, List, Nanos, Record, Whole};
use crate::rules::rule_set::RateRule;

/// The fastest flow, in units a second: what the limiter's fixed point is made for.
const MAX_PER_SECOND: f64 = 1e10;
/// The slowest flow: one unit in a year.
const MAX_INTERVAL_NS: u64 = 365 * 24 * HOUR;

static ALGORITHM: Field<Choice<()>> = Field {
    name: "algorithm",
    kind: Choice { words: &[("token_bucket", ())], later: &["sliding_window", "fixed_window"] },
    absent: Absent::Is(Literal::Text("token_bucket")),
    doc: "How calls are counted: `token_bucket` starts full and refills evenly.",
    since: FIRST,
};

static LIMIT: Field<Decimal> = Field {
    name: "limit",
    kind: Decimal { max: 10_000_000_000 },
    absent: Absent::Required,
    doc: "Units that flow in during `per`; a call takes as many as it costs, 1 if it does not say. \
          A fraction is allowed. The flow has to be between one unit in 365 days and 10^10 units a second.",
    since: FIRST,
};

static PER: Field<Nanos> = Field {
    name: "per",
    kind: Nanos { min: MICROSECOND, max: 31 * 24 * HOUR },
    absent: Absent::Is(Literal::Text("1s")),
    doc: "The time in which `limit` units flow in.",
    since: FIRST,
};

static BURST: Field<Whole<u64>> = Field {
    name: "burst",
    kind: Whole { min: 1, max: 1_000_000_000_000 },
    absent: Absent::Derived("`limit` rounded up, at least 1"),
    doc: "Units that the bucket holds: how much may pass at once after a pause.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "rate",
    doc: "One rate limit. A guard has a list of them, and a call has to pass all: \
          100 a second *and* 5000 an hour.",
    fields: &[&ALGORITHM, &LIMIT, &PER, &BURST, &MODE],
    later: &["key"],
    one_of: &[],
};

pub(super) const RATE: List<Record<RateRule>> = List { item: Record { shape: &SHAPE, build }, min: 1, max: 4 };

fn build(object: &Object<'_>, report: &mut Report) -> Option<RateRule> {
    let algorithm = object.get(&ALGORITHM, report);
    let limit = object.get(&LIMIT, report);
    let per = object.get(&PER, report);
    let burst = object.get(&BURST, report);
    let mode = object.get(&MODE, report);
    algorithm?;
    let (limit, per_ns) = (limit?, per?);
    check_flow(limit, per_ns, object, report);
    Some(RateRule { limit, per_ns, burst: burst.unwrap_or(filling(limit)), mode: mode? })
}

fn filling(limit: f64) -> u64 {
    limit.ceil().max(1.0) as u64
}

/// Refuses flows that are absurd though each number by itself is not.
fn check_flow(limit: f64, per_ns: u64, object: &Object<'_>, report: &mut Report) {
    let per_second = limit * SECOND as f64 / per_ns as f64;
    let too_much = per_second > MAX_PER_SECOND;
    let too_little = per_ns as f64 / limit > MAX_INTERVAL_NS as f64;
    if too_much || too_little {
        let flow = format!("{limit:e} per {} is {per_second:e} a second", format(per_ns));
        let right = "expected between one unit in 365 days and 10^10 units a second";
        object.refuse(LIMIT.name, format!("{flow}: {right}"), report);
    }
}
