//! `breaker`: refuses calls while the callee is failing.

use super::FIRST;
use super::mode::MODE;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MILLISECOND};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Decimal, Nanos, Record, Whole};
use crate::rules::rule_set::BreakerRule;

static ERROR_RATIO: Field<Decimal> = Field {
    name: "error_ratio",
    kind: Decimal { max: 1 },
    absent: Absent::Off("not judged"),
    doc: "Opens when this share of the calls in the window was bad (failure, timeout or overloaded).",
    since: FIRST,
};

static CONSECUTIVE_FAILURES: Field<Whole<u32>> = Field {
    name: "consecutive_failures",
    kind: Whole { min: 1, max: 1_000_000 },
    absent: Absent::Off("not judged"),
    doc: "Opens after this many bad calls in a row, whatever the window holds.",
    since: FIRST,
};

static WINDOW: Field<Nanos> = Field {
    name: "window",
    kind: Nanos { min: 100 * MILLISECOND, max: HOUR },
    absent: Absent::Is(Literal::Text("10s")),
    doc: "Width of the sliding window that `error_ratio` looks at.",
    since: FIRST,
};

static MIN_CALLS: Field<Whole<u32>> = Field {
    name: "min_calls",
    kind: Whole { min: 1, max: 1_000_000 },
    absent: Absent::Is(Literal::Number("20")),
    doc: "`error_ratio` is judged only when the window holds this many calls.",
    since: FIRST,
};

static OPEN_FOR: Field<Nanos> = Field {
    name: "open_for",
    kind: Nanos { min: MILLISECOND, max: 24 * HOUR },
    absent: Absent::Is(Literal::Text("5s")),
    doc: "How long an open breaker refuses everything before it lets probes through.",
    since: FIRST,
};

static PROBES: Field<Whole<u8>> = Field {
    name: "probes",
    kind: Whole { min: 1, max: 255 },
    absent: Absent::Is(Literal::Number("1")),
    doc: "Calls let through while half-open. When all of them pass the breaker closes; \
          when one fails it opens again.",
    since: FIRST,
};

static PROBE_TIMEOUT: Field<Nanos> = Field {
    name: "probe_timeout",
    kind: Nanos { min: MILLISECOND, max: 24 * HOUR },
    absent: Absent::Derived("the larger of `open_for` and the guard's `timeout`"),
    doc: "A probe that has not come back after this time is written off and another is let \
          through, so that a lost caller cannot keep the breaker half-open.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "breaker",
    doc: "Refuses calls while the callee is failing: closed, open, half-open, closed. \
          At least one of `error_ratio` and `consecutive_failures` has to be there.",
    fields: &[&ERROR_RATIO, &CONSECUTIVE_FAILURES, &WINDOW, &MIN_CALLS, &OPEN_FOR, &PROBES, &PROBE_TIMEOUT, &MODE],
    later: &["slow", "recover_over"],
    one_of: &["error_ratio", "consecutive_failures"],
};

/// A breaker whose `probe_timeout` may still depend on its guard.
#[derive(Clone)]
pub(super) struct Draft {
    rule: BreakerRule,
    probe_timeout_ns: Option<u64>,
}

pub(super) const BREAKER: Record<Draft> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<Draft> {
    let error_ratio = object.get(&ERROR_RATIO, report);
    let consecutive_failures = object.get(&CONSECUTIVE_FAILURES, report);
    let window_ns = object.get(&WINDOW, report);
    let min_calls = object.get(&MIN_CALLS, report);
    let open_for_ns = object.get(&OPEN_FOR, report);
    let probes = object.get(&PROBES, report);
    let probe_timeout_ns = object.get(&PROBE_TIMEOUT, report);
    let mode = object.get(&MODE, report);
    let rule = BreakerRule {
        error_ratio,
        consecutive_failures,
        window_ns: window_ns?,
        min_calls: min_calls?,
        open_for_ns: open_for_ns?,
        probes: probes?,
        probe_timeout_ns: 0,
        mode: mode?,
    };
    Some(Draft { rule, probe_timeout_ns })
}

impl Draft {
    /// The rule, in a guard with this timeout.
    pub(super) fn settle(self, timeout_ns: Option<u64>) -> BreakerRule {
        let patience = self.rule.open_for_ns.max(timeout_ns.unwrap_or(0));
        BreakerRule { probe_timeout_ns: self.probe_timeout_ns.unwrap_or(patience), ..self.rule }
    }
}
