//! A guard: its pipeline.

use super::FIRST;
use super::breaker;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::duration::{HOUR, MICROSECOND, MILLISECOND};
use crate::rules::field::{Absent, Field, Shape};
use crate::rules::kind::{List, Nanos, Record};
use crate::rules::rule_set::{
    ConcurrencyRule, DeadlineRule, FaultRule, GuardRules, HedgeRule, PolicyRule, RateRule, RetryRule, SystemRule,
    ThrottleRule,
};

static DEADLINE: Field<Record<DeadlineRule>> = Field {
    name: "deadline",
    kind: super::deadline::DEADLINE,
    absent: Absent::Off("any time left is enough"),
    doc: "Refuses calls that cannot finish in the time that is left.",
    since: FIRST,
};

static FAULTS: Field<List<Record<FaultRule>>> = Field {
    name: "faults",
    kind: super::fault::FAULTS,
    absent: Absent::Off("no faults"),
    doc: "Delays and aborts on purpose, where the runtime's options allow them.",
    since: FIRST,
};

static BREAKER: Field<Record<breaker::Draft>> = Field {
    name: "breaker",
    kind: breaker::BREAKER,
    absent: Absent::Off("no breaker"),
    doc: "Refuses calls while the callee is failing.",
    since: FIRST,
};

static THROTTLE: Field<Record<ThrottleRule>> = Field {
    name: "throttle",
    kind: super::throttle::THROTTLE,
    absent: Absent::Off("no throttle"),
    doc: "Refuses a share of the calls here while the callee refuses most of them there.",
    since: FIRST,
};

static POLICY: Field<Record<PolicyRule>> = Field {
    name: "policy",
    kind: super::policy::POLICY,
    absent: Absent::Off("no policy"),
    doc: "Asks a WASM policy about each call.",
    since: FIRST,
};

static SYSTEM: Field<Record<SystemRule>> = Field {
    name: "system",
    kind: super::system::SYSTEM,
    absent: Absent::Off("no protection"),
    doc: "Refuses calls while the container's CPU or memory is used beyond a threshold.",
    since: FIRST,
};

static CONCURRENCY: Field<Record<ConcurrencyRule>> = Field {
    name: "concurrency",
    kind: super::concurrency::CONCURRENCY,
    absent: Absent::Off("no limit"),
    doc: "Limits the calls in flight.",
    since: FIRST,
};

static RATE: Field<List<Record<RateRule>>> = Field {
    name: "rate",
    kind: super::rate::RATE,
    absent: Absent::Off("no limit"),
    doc: "Limits how much passes in a time. A call passes all limits of the list or takes from none.",
    since: FIRST,
};

static TIMEOUT: Field<Nanos> = Field {
    name: "timeout",
    kind: Nanos { min: MICROSECOND, max: 24 * HOUR },
    absent: Absent::Off("no timeout"),
    doc: "Time that a call may take from its entry. The permit's deadline is the earlier of this and the caller's own.",
    since: FIRST,
};

static MAX_HOLD: Field<Nanos> = Field {
    name: "max_hold",
    kind: Nanos { min: 100 * MILLISECOND, max: 7 * 24 * HOUR },
    absent: Absent::Off("never taken back"),
    doc: "A permit that was not exited after this time is taken back; its late exit is harmless.",
    since: FIRST,
};

static RETRY: Field<Record<RetryRule>> = Field {
    name: "retry",
    kind: super::retry::RETRY,
    absent: Absent::Off("no retries"),
    doc: "Which calls are tried again, and when.",
    since: FIRST,
};

static HEDGE: Field<Record<HedgeRule>> = Field {
    name: "hedge",
    kind: super::hedge::HEDGE,
    absent: Absent::Off("no hedges"),
    doc: "Sends another attempt before the first has ended.",
    since: FIRST,
};

pub(super) static SHAPE: Shape = Shape {
    name: "guard",
    doc: "What one guard does. Stages stand in the pipeline's own order, whatever their order here.",
    fields: &[
        &DEADLINE,
        &FAULTS,
        &BREAKER,
        &THROTTLE,
        &POLICY,
        &SYSTEM,
        &CONCURRENCY,
        &RATE,
        &TIMEOUT,
        &RETRY,
        &HEDGE,
        &MAX_HOLD,
    ],
    one_of: &[],
};

/// The fields that a guard, or the defaults, has of its own.
#[derive(Clone, Default)]
pub(super) struct Draft {
    deadline: Option<DeadlineRule>,
    faults: Option<Vec<FaultRule>>,
    breaker: Option<breaker::Draft>,
    throttle: Option<ThrottleRule>,
    policy: Option<PolicyRule>,
    system: Option<SystemRule>,
    concurrency: Option<ConcurrencyRule>,
    rate: Option<Vec<RateRule>>,
    timeout_ns: Option<u64>,
    retry: Option<RetryRule>,
    hedge: Option<HedgeRule>,
    max_hold_ns: Option<u64>,
}

pub(super) const GUARD: Record<Draft> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<Draft> {
    Some(Draft {
        deadline: object.get(&DEADLINE, report),
        faults: object.get(&FAULTS, report),
        breaker: object.get(&BREAKER, report),
        throttle: object.get(&THROTTLE, report),
        policy: object.get(&POLICY, report),
        system: object.get(&SYSTEM, report),
        concurrency: object.get(&CONCURRENCY, report),
        rate: object.get(&RATE, report),
        timeout_ns: object.get(&TIMEOUT, report),
        retry: object.get(&RETRY, report),
        hedge: object.get(&HEDGE, report),
        max_hold_ns: object.get(&MAX_HOLD, report),
    })
}

impl Draft {
    /// Its own fields, and the others' where it has none; a field is taken whole.
    pub(super) fn over(self, defaults: &Draft) -> Draft {
        let defaults = defaults.clone();
        Draft {
            deadline: self.deadline.or(defaults.deadline),
            faults: self.faults.or(defaults.faults),
            breaker: self.breaker.or(defaults.breaker),
            throttle: self.throttle.or(defaults.throttle),
            policy: self.policy.or(defaults.policy),
            system: self.system.or(defaults.system),
            concurrency: self.concurrency.or(defaults.concurrency),
            rate: self.rate.or(defaults.rate),
            timeout_ns: self.timeout_ns.or(defaults.timeout_ns),
            retry: self.retry.or(defaults.retry),
            hedge: self.hedge.or(defaults.hedge),
            max_hold_ns: self.max_hold_ns.or(defaults.max_hold_ns),
        }
    }

    /// The rules, once nothing more is to be merged.
    pub(super) fn settle(self) -> GuardRules {
        let timeout_ns = self.timeout_ns;
        GuardRules {
            deadline: self.deadline,
            faults: self.faults.unwrap_or_default(),
            throttle: self.throttle,
            retry: self.retry,
            hedge: self.hedge,
            breaker: self.breaker.map(|draft| draft.settle(timeout_ns)),
            policy: self.policy,
            system: self.system,
            concurrency: self.concurrency,
            rate: self.rate.unwrap_or_default(),
            timeout_ns,
            max_hold_ns: self.max_hold_ns,
        }
    }
}
