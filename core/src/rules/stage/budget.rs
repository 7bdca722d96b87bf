//! `budget`: what retries and hedges may cost.

use super::FIRST;
use crate::retry::budget::Reserve;
use crate::retry::budget::quota::Quota;
use crate::retry::budget::ratio::Ratio;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, SECOND};
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Decimal, Nanos, Record, Whole};
use crate::rules::rule_set::{BudgetKind, BudgetRule};

static RATIO: Field<Decimal> = Field {
    name: "ratio",
    kind: Decimal { max: 10 },
    absent: Absent::Derived("0.05"),
    doc: "Retries that each first attempt pays for.",
    since: FIRST,
};

static MIN_PER_SEC: Field<Decimal> = Field {
    name: "min_per_sec",
    kind: Decimal { max: 100_000 },
    absent: Absent::Derived("1"),
    doc: "Retries a second that are paid for besides, so that a guard with few calls can retry at all.",
    since: FIRST,
};

static WINDOW: Field<Nanos> = Field {
    name: "window",
    kind: Nanos { min: SECOND, max: HOUR },
    absent: Absent::Derived("`10s`"),
    doc: "How long what was not spent lasts, in the mean.",
    since: FIRST,
};

static TOKENS: Field<Whole<u32>> = Field {
    name: "tokens",
    kind: Whole { min: 1, max: 1_000_000_000 },
    absent: Absent::Is(Literal::Number("500")),
    doc: "Tokens of a full store.",
    since: FIRST,
};

static COST: Field<Whole<u32>> = Field {
    name: "cost",
    kind: Whole { min: 1, max: 1_000_000_000 },
    absent: Absent::Is(Literal::Number("5")),
    doc: "Tokens that a retry costs.",
    since: FIRST,
};

static TIMEOUT_COST: Field<Whole<u32>> = Field {
    name: "timeout_cost",
    kind: Whole { min: 1, max: 1_000_000_000 },
    absent: Absent::Is(Literal::Number("10")),
    doc: "Tokens that a retry after a timeout costs.",
    since: FIRST,
};

static EARNED: Field<Whole<u32>> = Field {
    name: "earned",
    kind: Whole { min: 0, max: 1_000_000_000 },
    absent: Absent::Is(Literal::Number("1")),
    doc: "Tokens that a success without retry gives back. One after a retry gives back what that retry took.",
    since: FIRST,
};

static QUOTA_SHAPE: Shape = Shape {
    name: "quota",
    doc: "A store of tokens that failures empty and successes fill, as in the AWS SDKs. It allows a burst of retries and after that none \
          until calls succeed again.",
    fields: &[&TOKENS, &COST, &TIMEOUT_COST, &EARNED],
    one_of: &[],
};

static QUOTA: Field<Record<[u32; 4]>> = Field {
    name: "quota",
    kind: Record { shape: &QUOTA_SHAPE, build: build_quota },
    absent: Absent::Off("a share of first attempts"),
    doc: "A store of tokens, in place of `ratio` and `min_per_sec`.",
    since: FIRST,
};

static FOR_CRITICAL: Field<Decimal> = Field {
    name: "for_critical",
    kind: Decimal { max: 1 },
    absent: Absent::Off("nothing is kept"),
    doc: "The share of the floor (`min_per_sec` × `window`), or of the quota, that only critical calls may spend.",
    since: FIRST,
};

static FOR_DEFAULT: Field<Decimal> = Field {
    name: "for_default",
    kind: Decimal { max: 1 },
    absent: Absent::Off("nothing is kept"),
    doc: "The share beyond that which sheddable calls may not spend.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "budget",
    doc: "What retries and hedges may cost, over all callers on the segment.",
    fields: &[&RATIO, &MIN_PER_SEC, &WINDOW, &QUOTA, &FOR_CRITICAL, &FOR_DEFAULT],
    one_of: &[],
};

pub(super) const BUDGET: Record<BudgetRule> = Record { shape: &SHAPE, build };

fn build_quota(object: &Object<'_>, report: &mut Report) -> Option<[u32; 4]> {
    let tokens = object.get(&TOKENS, report);
    let cost = object.get(&COST, report);
    let timeout_cost = object.get(&TIMEOUT_COST, report);
    let earned = object.get(&EARNED, report);
    let (tokens, cost, timeout_cost) = (tokens?, cost?, timeout_cost?);
    for (field, cost) in [(COST.name, cost), (TIMEOUT_COST.name, timeout_cost)] {
        if cost > tokens {
            let why = format!("costs {cost} of {tokens} tokens, which no retry could pay; expected at most `tokens`");
            object.refuse(field, why, report);
        }
    }
    Some([tokens, cost, timeout_cost, earned?])
}

fn build(object: &Object<'_>, report: &mut Report) -> Option<BudgetRule> {
    let ratio = object.get(&RATIO, report);
    let min_per_sec = object.get(&MIN_PER_SEC, report);
    let window_ns = object.get(&WINDOW, report);
    let quota = object.get(&QUOTA, report);
    let thousandths = |share: Option<f64>| share.map_or(0, |share| (share * 1000.0).round() as u32);
    let reserve = Reserve {
        for_critical: thousandths(object.get(&FOR_CRITICAL, report)),
        for_default: thousandths(object.get(&FOR_DEFAULT, report)),
    };
    if reserve.for_critical + reserve.for_default > 1000 {
        object.refuse(FOR_DEFAULT.name, String::from("is more than `for_critical` leaves of the whole"), report);
        return None;
    }
    if object.names(QUOTA.name) {
        for field in [RATIO.name, MIN_PER_SEC.name, WINDOW.name] {
            if object.names(field) {
                object.refuse(field, String::from("stands beside `quota`; expected one of the two"), report);
            }
        }
        let quota = quota?;
        return Quota::new(quota, reserve, 1).map(|_| BudgetRule { kind: BudgetKind::Quota(quota), reserve });
    }
    let (ratio, min_per_sec) = (ratio.unwrap_or(0.05), min_per_sec.unwrap_or(1.0));
    let window_ns = window_ns.unwrap_or(10 * SECOND);
    if Ratio::new(ratio, min_per_sec, window_ns, reserve, 1).is_none() {
        let why = "no retry would ever be paid for, or more than can be counted; expected other numbers";
        object.refuse(RATIO.name, String::from(why), report);
        return None;
    }
    Some(BudgetRule { kind: BudgetKind::Ratio { ratio, min_per_sec, window_ns }, reserve })
}
