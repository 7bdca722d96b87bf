//! `breaker`: refuses calls while the callee is failing.

use super::FIRST;
use super::mode::MODE;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MILLISECOND};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Decimal, Nanos, Record, Whole};
use crate::rules::rule_set::{BreakerRule, SlowRule};

/// The most probes that may fail while others pass.
const MAX_FAILED: u8 = 127;

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

static ERROR_COUNT: Field<Whole<u32>> = Field {
    name: "error_count",
    kind: Whole { min: 1, max: 1_000_000 },
    absent: Absent::Off("not judged"),
    doc: "Opens when so many calls in the window were bad, whatever share of all they are.",
    since: FIRST,
};

static SLOW: Field<Record<SlowRule>> = Field {
    name: "slow",
    kind: super::slow::SLOW,
    absent: Absent::Off("not judged"),
    doc: "Opens when too large a share of the calls in the window was slow, calls that are still running among them.",
    since: FIRST,
};

static WINDOW_CALLS: Field<Whole<u32>> = Field {
    name: "window_calls",
    kind: Whole { min: 1, max: 10_000 },
    absent: Absent::Off("the window is one of time"),
    doc: "Makes the window one of the last so many calls, whenever they were, in place of `window`.",
    since: FIRST,
};

static PROBES_NEEDED: Field<Whole<u8>> = Field {
    name: "probes_needed",
    kind: Whole { min: 1, max: 255 },
    absent: Absent::Derived("all of `probes`"),
    doc: "How many of the probes have to pass; so many that this cannot be reached any more may fail, 127 at most.",
    since: FIRST,
};

static RECOVER_OVER: Field<Nanos> = Field {
    name: "recover_over",
    kind: Nanos { min: MILLISECOND, max: 24 * HOUR },
    absent: Absent::Off("all pass at once"),
    doc: "Once the probes have passed, the share of calls that pass climbs evenly to all of them over this time. \
          They are judged as when it is closed.",
    since: FIRST,
};

static WINDOW: Field<Nanos> = Field {
    name: "window",
    kind: Nanos { min: 100 * MILLISECOND, max: HOUR },
    absent: Absent::Is(Literal::Text("10s")),
    doc: "Width of the sliding window that `error_ratio`, `error_count` and `slow` look at.",
    since: FIRST,
};

static MIN_CALLS: Field<Whole<u32>> = Field {
    name: "min_calls",
    kind: Whole { min: 1, max: 1_000_000 },
    absent: Absent::Is(Literal::Number("20")),
    doc: "`error_ratio` and `slow` are judged only when the window holds this many calls.",
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
    doc: "Calls let through while half-open. When all of them pass (or `probes_needed`) the breaker closes; \
          when one fails that was needed it opens again.",
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
          At least one of `error_ratio`, `error_count`, `slow` and `consecutive_failures` has to be there.",
    fields: &[
        &ERROR_RATIO,
        &ERROR_COUNT,
        &SLOW,
        &CONSECUTIVE_FAILURES,
        &WINDOW,
        &WINDOW_CALLS,
        &MIN_CALLS,
        &OPEN_FOR,
        &PROBES,
        &PROBES_NEEDED,
        &PROBE_TIMEOUT,
        &RECOVER_OVER,
        &MODE,
    ],
    one_of: &["error_ratio", "error_count", "slow", "consecutive_failures"],
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
    let error_count = object.get(&ERROR_COUNT, report);
    let slow = object.get(&SLOW, report);
    let consecutive_failures = object.get(&CONSECUTIVE_FAILURES, report);
    let window_calls = object.get(&WINDOW_CALLS, report);
    let probes_needed = object.get(&PROBES_NEEDED, report);
    let recover_over_ns = object.get(&RECOVER_OVER, report);
    let window_ns = object.get(&WINDOW, report);
    let min_calls = object.get(&MIN_CALLS, report);
    let open_for_ns = object.get(&OPEN_FOR, report);
    let probes = object.get(&PROBES, report);
    let probe_timeout_ns = object.get(&PROBE_TIMEOUT, report);
    let mode = object.get(&MODE, report);
    let probes = probes?;
    check_probes(probes, probes_needed, object, report);
    check_window(window_calls, min_calls?, object, report);
    let rule = BreakerRule {
        error_ratio,
        error_count,
        slow,
        consecutive_failures,
        window_calls,
        probes_needed: probes_needed.unwrap_or(probes),
        recover_over_ns,
        window_ns: window_ns?,
        min_calls: min_calls?,
        open_for_ns: open_for_ns?,
        probes,
        probe_timeout_ns: 0,
        mode: mode?,
    };
    Some(Draft { rule, probe_timeout_ns })
}

fn check_probes(probes: u8, needed: Option<u8>, object: &Object<'_>, report: &mut Report) {
    let needed = needed.unwrap_or(probes);
    if needed > probes {
        let message = format!("{needed} probes have to pass, and only {probes} are sent; expected at most `probes`");
        object.refuse(PROBES_NEEDED.name, message, report);
    } else if probes - needed > MAX_FAILED {
        let message = format!("{} of {probes} probes may fail; expected at most {MAX_FAILED}", probes - needed);
        object.refuse(PROBES_NEEDED.name, message, report);
    }
}

/// A window of calls has to be able to hold as many as a verdict needs.
fn check_window(calls: Option<u32>, min_calls: u32, object: &Object<'_>, report: &mut Report) {
    let Some(calls) = calls else { return };
    if object.names(WINDOW.name) {
        object.refuse(WINDOW_CALLS.name, String::from("stands beside `window`; expected one of the two"), report);
    }
    if min_calls > calls {
        let message =
            format!("the window holds {calls} calls, and {min_calls} are needed; expected `min_calls` to be less");
        object.refuse(WINDOW_CALLS.name, message, report);
    }
}

impl Draft {
    /// The rule, in a guard with this timeout.
    pub(super) fn settle(self, timeout_ns: Option<u64>) -> BreakerRule {
        let patience = self.rule.open_for_ns.max(timeout_ns.unwrap_or(0));
        BreakerRule { probe_timeout_ns: self.probe_timeout_ns.unwrap_or(patience), ..self.rule }
    }
}
