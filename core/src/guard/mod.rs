//! Guards: a named protected resource and the pipeline in front of it.
//!
//! One `enter` for one attempt. Its stages run in the order of [`Stage`]; the first refusal wins, and a stage that
//! refuses makes the pipeline give back all that earlier ones took.

mod attempts;
mod breaker_stage;
pub mod cell;
mod concurrency_stage;
mod deadline_stage;
pub mod enter;
pub mod exit;
pub mod extra;
mod fault_stage;
pub(crate) mod follow;
pub mod handle;
pub mod hedging;
pub mod keyed_limit;
mod keyed_stage;
pub(crate) mod known;
mod load_stage;
pub mod numbers;
pub mod permit;
pub mod plain;
pub mod policy_stage;
mod rate_stage;
pub mod recount;
pub mod retrying;
pub mod stats;
mod taken;
mod throttle_stage;
mod turned_away;
mod usual;
pub mod watch;

pub(crate) use attempts::bring_budget_over;
pub(crate) use fault_stage::begin_faults;
pub(crate) use load_stage::fit_limit;
pub(crate) use rate_stage::Limit;

use crate::concurrency::shed::MAX_LEVEL;
use crate::policy::{Attribute, MAX_ATTRIBUTES};

/// The stages, in pipeline order. Some come with later versions; their numbers are kept for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stage {
    /// No time left, or less than the call usually takes.
    Deadline = 1,
    /// Injected on purpose.
    Fault = 2,
    /// The circuit breaker.
    Breaker = 3,
    /// The client-side share of a backend that refuses.
    Throttle = 4,
    /// A WASM policy.
    Policy = 5,
    /// CPU, memory and in-flight of the whole process.
    System = 6,
    /// The concurrency limit.
    Concurrency = 7,
    /// The rate limits.
    Rate = 8,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Stage; 8] = [
        Stage::Deadline,
        Stage::Fault,
        Stage::Breaker,
        Stage::Throttle,
        Stage::Policy,
        Stage::System,
        Stage::Concurrency,
        Stage::Rate,
    ];

    /// The name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Deadline => "deadline",
            Stage::Fault => "fault",
            Stage::Breaker => "breaker",
            Stage::Throttle => "throttle",
            Stage::Policy => "policy",
            Stage::System => "system",
            Stage::Concurrency => "concurrency",
            Stage::Rate => "rate",
        }
    }
}

/// How a guarded call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// Well.
    Success = 0,
    /// The callee failed.
    Failure = 1,
    /// The callee took too long.
    Timeout = 2,
    /// The callee said that it has too much to do.
    Overloaded = 3,
    /// Our own caller left: says nothing of the callee.
    Cancelled = 4,
    /// Says nothing about health, but its duration counts.
    Ignored = 5,
}

impl Outcome {
    /// All, by number.
    pub const ALL: [Outcome; 6] = [
        Outcome::Success,
        Outcome::Failure,
        Outcome::Timeout,
        Outcome::Overloaded,
        Outcome::Cancelled,
        Outcome::Ignored,
    ];

    /// The outcome of a number.
    pub fn of(number: i32) -> Option<Outcome> {
        usize::try_from(number).ok().and_then(|number| Outcome::ALL.get(number).copied())
    }

    /// The name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Timeout => "timeout",
            Outcome::Overloaded => "overloaded",
            Outcome::Cancelled => "cancelled",
            Outcome::Ignored => "ignored",
        }
    }

    /// Whether the breaker counts it as bad.
    #[inline(always)]
    pub fn is_bad(self) -> bool {
        matches!(self, Outcome::Failure | Outcome::Timeout | Outcome::Overloaded)
    }

    /// Whether the breaker judges by it at all.
    #[inline(always)]
    pub fn is_judged(self) -> bool {
        !matches!(self, Outcome::Cancelled | Outcome::Ignored)
    }
}

/// How much a call matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Criticality {
    /// As most.
    #[default]
    Default = 0,
    /// Shed last.
    Critical = 1,
    /// Shed first.
    Sheddable = 2,
}

/// What a caller says of a call. All of it may be left out.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Tokens that it takes of each rate limit; 0 means 1.
    pub cost: u64,
    /// How much it matters.
    pub criticality: Criticality,
    /// How much among those of its criticality: 0 to 99; higher matters more.
    pub level: u8,
    /// Nanoseconds from now that its caller waits; 0: no limit.
    pub timeout_ns: u64,
    /// The same as a moment on the runtime's clock; 0: none. The earlier one counts.
    pub deadline_ns: u64,
    /// It must not be made twice: it is neither tried again, unless it was refused here, nor hedged.
    pub once: bool,
    /// Whom it is for.
    pub key: &'a [u8],
    /// What policies may look at; at most [`MAX_ATTRIBUTES`].
    pub attributes: &'a [Attribute<'a>],
}

impl<'a> Call<'a> {
    /// Its attributes, as far as they are looked at.
    #[inline(always)]
    pub(crate) fn seen_attributes(&self) -> &'a [Attribute<'a>] {
        &self.attributes[..self.attributes.len().min(MAX_ATTRIBUTES)]
    }
}

impl Call<'_> {
    /// Of a call of which its caller says nothing.
    pub const PLAIN: Call<'static> = Call {
        cost: 0,
        criticality: Criticality::Default,
        level: MAX_LEVEL,
        timeout_ns: 0,
        deadline_ns: 0,
        once: false,
        key: &[],
        attributes: &[],
    };
}

impl Default for Call<'_> {
    fn default() -> Self {
        Call::PLAIN
    }
}

/// Why a call was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEntered {
    /// A stage refused it.
    Refused(Stage),
    /// We could not tell: the caller goes ahead, or not, by option.
    Failed(crate::error::ErrorKind),
}
