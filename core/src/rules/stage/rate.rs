//! `rate`: how much may pass in a time.

use super::FIRST;
use super::keyed;
use super::mode::MODE;
use super::of_some::check_names;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MICROSECOND, MILLISECOND, SECOND, format};
use crate::rules::field::{Absent, AnyField, Field, Literal, Shape};
use crate::rules::kind::{Choice, Decimal, List, Nanos, Record, Whole};
use crate::rules::rule_set::{FollowRule, RateAlgorithm, RateRule};

/// The fastest flow, in units a second: what the limiter's fixed point is made for.
const MAX_PER_SECOND: f64 = 1e10;
/// The slowest flow: one unit in a year.
const MAX_INTERVAL_NS: u64 = 365 * 24 * HOUR;

/// Which algorithm, before what it needs is read.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    TokenBucket,
    Pacing,
    FixedWindow,
    SlidingWindow,
    SlidingCounter,
    WarmUp,
}

static ALGORITHM: Field<Choice<Way>> = Field {
    name: "algorithm",
    kind: Choice {
        words: &[
            ("token_bucket", Way::TokenBucket),
            ("pacing", Way::Pacing),
            ("fixed_window", Way::FixedWindow),
            ("sliding_window", Way::SlidingWindow),
            ("sliding_counter", Way::SlidingCounter),
            ("warm_up", Way::WarmUp),
        ],
    },
    absent: Absent::Is(Literal::Text("token_bucket")),
    doc: "How calls are counted: `token_bucket` starts full and refills evenly; `pacing` lets calls through one by one, \
          evenly spaced; `fixed_window` counts from one multiple of `per` to the next; `sliding_window` counts the \
          last `per`, exact to one of its `buckets`; `sliding_counter` estimates the same from two counters; `warm_up` begins \
          slowly after a pause.",
    since: FIRST,
};

static LIMIT: Field<Decimal> = Field {
    name: "limit",
    kind: Decimal { max: 10_000_000_000 },
    absent: Absent::Required,
    doc: "Units that flow in during `per`; a call takes as many as it costs, 1 if it does not say. \
          A fraction is allowed where there is a flow, not where a window counts. The flow has to be between one unit in 365 days and 10^10 units a second.",
    since: FIRST,
};

static PER: Field<Nanos> = Field {
    name: "per",
    kind: Nanos { min: MICROSECOND, max: 31 * 24 * HOUR },
    absent: Absent::Is(Literal::Text("1s")),
    doc: "The time in which `limit` units flow in, or the width of the window.",
    since: FIRST,
};

static BURST: Field<Whole<u64>> = Field {
    name: "burst",
    kind: Whole { min: 1, max: 1_000_000_000_000 },
    absent: Absent::Derived("`limit` rounded up, at least 1"),
    doc: "Of a token bucket: units that it holds, which is how much may pass at once after a pause.",
    since: FIRST,
};

static MAX_WAIT: Field<Nanos> = Field {
    name: "max_wait",
    kind: Nanos { min: 0, max: HOUR },
    absent: Absent::Derived("`500ms` of `pacing`, otherwise `0s`"),
    doc: "Of a token bucket, pacing and warm-up: how long a call may have to wait for its units. It passes with that wait, \
          which its caller has to keep before the work; without it, it is refused.",
    since: FIRST,
};

static BUCKETS: Field<Whole<u64>> = Field {
    name: "buckets",
    kind: Whole { min: 2, max: 60 },
    absent: Absent::Derived("10"),
    doc: "Of a sliding window: the parts that it moves by.",
    since: FIRST,
};

static COLD_FACTOR: Field<Decimal> = Field {
    name: "cold_factor",
    kind: Decimal { max: 100 },
    absent: Absent::Derived("3"),
    doc: "Of warm-up: how many times slower it begins; above 1.",
    since: FIRST,
};

static WARM_UP: Field<Nanos> = Field {
    name: "warm_up",
    kind: Nanos { min: MILLISECOND, max: HOUR },
    absent: Absent::Derived("`10s`"),
    doc: "Of warm-up: how long it takes from the slowest to the full rate, when as many call as may.",
    since: FIRST,
};

static FOLLOW: Field<Record<FollowRule>> = Field {
    name: "follow",
    kind: super::follow::FOLLOW,
    absent: Absent::Off("the rate is what it is"),
    doc: "Makes calls cost more while another guard is under pressure, so that the rate falls.",
    since: FIRST,
};

static FIELDS: [&dyn AnyField; 17] = {
    let [key, keys, on_full, overrides, allow, deny, hottest] = keyed::FIELDS;
    [
        &ALGORITHM,
        &LIMIT,
        &PER,
        &BURST,
        &MAX_WAIT,
        &BUCKETS,
        &COLD_FACTOR,
        &WARM_UP,
        &FOLLOW,
        key,
        keys,
        on_full,
        overrides,
        allow,
        deny,
        hottest,
        &MODE,
    ]
};

static SHAPE: Shape = Shape {
    name: "rate",
    doc: "One rate limit. A guard has a list of them, and a call has to pass all: 100 a second *and* 5000 an hour.",
    fields: &FIELDS,
    one_of: &[],
};

pub(super) const RATE: List<Record<RateRule>> = List { item: Record { shape: &SHAPE, build }, min: 1, max: 4 };

/// What only some algorithms have.
const OF_SOME: [(&str, &[Way]); 5] = [
    (BURST.name, &[Way::TokenBucket]),
    (MAX_WAIT.name, &[Way::TokenBucket, Way::Pacing, Way::WarmUp]),
    (BUCKETS.name, &[Way::SlidingWindow]),
    (COLD_FACTOR.name, &[Way::WarmUp]),
    (WARM_UP.name, &[Way::WarmUp]),
];

fn build(object: &Object<'_>, report: &mut Report) -> Option<RateRule> {
    let way = object.get(&ALGORITHM, report);
    let limit = object.get(&LIMIT, report);
    let per = object.get(&PER, report);
    let own = Own {
        burst: object.get(&BURST, report),
        max_wait_ns: object.get(&MAX_WAIT, report),
        buckets: object.get(&BUCKETS, report),
        cold_factor: object.get(&COLD_FACTOR, report),
        warm_up_ns: object.get(&WARM_UP, report),
    };
    let follow = object.get(&FOLLOW, report);
    let mode = object.get(&MODE, report);
    let keyed = keyed::read(object, per, why_no_key(way, own.max_wait_ns), report);
    let (way, limit, per_ns) = (way?, limit?, per?);
    check_names(way, &ALGORITHM, &OF_SOME, object, report);
    check_flow(limit, per_ns, object, report);
    check_whole(way, limit, object, report);
    if own.cold_factor.is_some_and(|factor| factor <= 1.0) {
        object.refuse(
            COLD_FACTOR.name,
            String::from("a cold start is slower than a warm one: expected more than 1"),
            report,
        );
    }
    Some(RateRule { algorithm: own.algorithm(way, limit), limit, per_ns, follow, keyed, mode: mode? })
}

/// What only some algorithms have, as far as the document says it.
struct Own {
    burst: Option<u64>,
    max_wait_ns: Option<u64>,
    buckets: Option<u64>,
    cold_factor: Option<f64>,
    warm_up_ns: Option<u64>,
}

impl Own {
    fn algorithm(&self, way: Way, limit: f64) -> RateAlgorithm {
        let max_wait_ns = self.max_wait_ns.unwrap_or(if way == Way::Pacing { 500 * MILLISECOND } else { 0 });
        match way {
            Way::TokenBucket => RateAlgorithm::TokenBucket { burst: self.burst.unwrap_or(filling(limit)), max_wait_ns },
            Way::Pacing => RateAlgorithm::Pacing { max_wait_ns },
            Way::FixedWindow => RateAlgorithm::FixedWindow,
            Way::SlidingWindow => RateAlgorithm::SlidingWindow { buckets: self.buckets.unwrap_or(10) },
            Way::SlidingCounter => RateAlgorithm::SlidingCounter,
            Way::WarmUp => RateAlgorithm::WarmUp {
                cold_factor: self.cold_factor.unwrap_or(3.0),
                warm_up_ns: self.warm_up_ns.unwrap_or(10 * SECOND),
                max_wait_ns,
            },
        }
    }
}

/// Refuses a fraction of what is counted one by one.
fn check_whole(way: Way, limit: f64, object: &Object<'_>, report: &mut Report) {
    let counts = matches!(way, Way::FixedWindow | Way::SlidingWindow | Way::SlidingCounter);
    if counts && limit.fract() != 0.0 {
        object.refuse(LIMIT.name, format!("a window counts whole units: expected no fraction, got {limit}"), report);
    }
}

/// Keys have token buckets that let nobody wait.
fn why_no_key(way: Option<Way>, max_wait_ns: Option<u64>) -> Option<&'static str> {
    match (way, max_wait_ns) {
        (Some(Way::TokenBucket), None | Some(0)) | (None, _) => None,
        (Some(Way::TokenBucket), _) => Some("a limit by key lets nobody wait; expected no max_wait beside it"),
        _ => Some("this algorithm has none; expected it of token_bucket only"),
    }
}

pub(super) fn filling(limit: f64) -> u64 {
    limit.ceil().max(1.0) as u64
}

/// Refuses flows that are absurd though each number by itself is not.
pub(super) fn check_flow(limit: f64, per_ns: u64, object: &Object<'_>, report: &mut Report) {
    if !flow_is_possible(limit, per_ns) {
        let per_second = limit * SECOND as f64 / per_ns as f64;
        let flow = format!("{limit:e} per {} is {per_second:e} a second", format(per_ns));
        let right = "expected between one unit in 365 days and 10^10 units a second";
        object.refuse(LIMIT.name, format!("{flow}: {right}"), report);
    }
}

/// Whether a flow is one that a bucket can keep.
pub(super) fn flow_is_possible(limit: f64, per_ns: u64) -> bool {
    let per_second = limit * SECOND as f64 / per_ns as f64;
    per_second <= MAX_PER_SECOND && per_ns as f64 / limit <= MAX_INTERVAL_NS as f64
}
