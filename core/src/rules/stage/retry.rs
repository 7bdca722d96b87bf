//! `retry`: which calls are tried again, and when.

use super::FIRST;
use super::outcomes::{BAD_OUTCOMES, bits};
use super::{backoff, budget};
use crate::guard::Outcome;
use crate::retry::backoff::Backoff;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MILLISECOND};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Choice, List, Nanos, Record, Whole};
use crate::rules::rule_set::{BudgetRule, RetryRule};

static MAX_ATTEMPTS: Field<Whole<u32>> = Field {
    name: "max_attempts",
    kind: Whole { min: 1, max: 100 },
    absent: Absent::Is(Literal::Number("3")),
    doc: "The most attempts of one call, the first among them.",
    since: FIRST,
};

static BACKOFF: Field<Record<Backoff>> = Field {
    name: "backoff",
    kind: backoff::BACKOFF,
    absent: Absent::Derived("its defaults"),
    doc: "How long to wait before trying again.",
    since: FIRST,
};

static MAX_ELAPSED: Field<Nanos> = Field {
    name: "max_elapsed",
    kind: Nanos { min: MILLISECOND, max: 24 * HOUR },
    absent: Absent::Off("no such limit"),
    doc: "No attempt begins later than this after the first.",
    since: FIRST,
};

static RETRY_ON: Field<List<Choice<Outcome>>> = Field {
    name: "retry_on",
    kind: BAD_OUTCOMES,
    absent: Absent::Derived("all three"),
    doc: "The outcomes after which a call is tried again.",
    since: FIRST,
};

static BUDGET: Field<Record<BudgetRule>> = Field {
    name: "budget",
    kind: budget::BUDGET,
    absent: Absent::Derived("its defaults"),
    doc: "What retries and hedges may cost, over all callers on the segment. There is no way to have none.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "retry",
    doc: "Which calls are tried again, and when. The guard's callers make the attempts: each is an entry of its own.",
    fields: &[&MAX_ATTEMPTS, &BACKOFF, &MAX_ELAPSED, &RETRY_ON, &BUDGET],
    one_of: &[],
};

pub(super) const RETRY: Record<RetryRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<RetryRule> {
    let max_attempts = object.get(&MAX_ATTEMPTS, report);
    let backoff = object.get(&BACKOFF, report);
    let max_elapsed_ns = object.get(&MAX_ELAPSED, report);
    let retry_on = object.get(&RETRY_ON, report);
    let budget = object.get(&BUDGET, report);
    let all = vec![Outcome::Failure, Outcome::Timeout, Outcome::Overloaded];
    Some(RetryRule {
        max_attempts: max_attempts?,
        backoff: backoff.or_else(backoff::usual)?,
        max_elapsed_ns: max_elapsed_ns.unwrap_or(0),
        retry_on: bits(&retry_on.unwrap_or(all)),
        budget: budget.unwrap_or_default(),
    })
}
