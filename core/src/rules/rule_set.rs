//! What a valid rules document means, typed.

use crate::guard::Outcome;
use crate::rate::keyed::OnFull;
use crate::retry::backoff::Backoff;
use crate::retry::budget::Reserve;
use std::collections::BTreeMap;

/// Whether a stage acts, only counts, or is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The stage is skipped.
    Off,
    /// The stage refuses calls.
    #[default]
    Enforce,
    /// The stage counts what it would have refused, and lets it pass.
    Shadow,
}

/// A valid rules document. Immutable plain data; clones are independent.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// The document's version, 1 or more; 0 for [`RuleSet::empty`].
    pub version: u64,
    /// What each named guard does: its own fields over the document's defaults.
    pub guards: BTreeMap<String, GuardRules>,
    /// What a guard does that the document does not name.
    pub defaults: GuardRules,
    /// The document as canonical JSON: keys sorted, `x-` fields dropped, no white
    /// space, numbers in one spelling. Two documents hold the same JSON values if
    /// and only if their canonical texts are equal. Durations stay as written:
    /// `"1s"` and `"1000ms"` are two contents.
    pub canonical: String,
}

impl RuleSet {
    /// The rules before any document: version 0, no guard restrained.
    pub fn empty() -> RuleSet {
        RuleSet { version: 0, guards: BTreeMap::new(), defaults: GuardRules::default(), canonical: String::from("{}") }
    }

    /// What the guard of this name does: its own fields over the defaults, or the
    /// defaults alone when the document does not name it.
    pub fn guard(&self, name: &str) -> GuardRules {
        self.guards.get(name).unwrap_or(&self.defaults).clone()
    }
}

/// What one guard does. A stage that is `None`, or an empty list, is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuardRules {
    /// Refuses calls that cannot finish in the time that is left.
    pub deadline: Option<DeadlineRule>,
    /// Faults on purpose, at most 4; the first that hits a call counts.
    pub faults: Vec<FaultRule>,
    /// Refuses calls while the callee is failing.
    pub breaker: Option<BreakerRule>,
    /// Refuses a share of the calls while the callee refuses most of them.
    pub throttle: Option<ThrottleRule>,
    /// The policy that is asked about each call.
    pub policy: Option<PolicyRule>,
    /// Protects the whole process.
    pub system: Option<SystemRule>,
    /// How many calls may be in flight at once.
    pub concurrency: Option<ConcurrencyRule>,
    /// Rate limits; a call passes all of them or takes from none. At most 4.
    pub rate: Vec<RateRule>,
    /// Time that a call may take, in nanoseconds from its entry.
    pub timeout_ns: Option<u64>,
    /// Which calls are tried again.
    pub retry: Option<RetryRule>,
    /// Another attempt before the first has ended.
    pub hedge: Option<HedgeRule>,
    /// Age in nanoseconds at which a permit that was never exited is taken back.
    pub max_hold_ns: Option<u64>,
}

/// A guard to whose pressure a rate gives way. Shares are in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowRule {
    /// Its name.
    pub guard: String,
    /// The pressure up to which the whole rate passes.
    pub from: u32,
    /// The pressure from which on only the floor passes.
    pub to: u32,
    /// What passes then.
    pub floor: u32,
}

/// Enough time left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeadlineRule {
    /// The quantile of the durations that is usual, above 0 and at most 1.
    pub usual: f64,
    /// How many times the usual has to be left, above 0 and at most 1000.
    pub factor: f64,
    /// Whether it acts.
    pub mode: Mode,
}

/// A fault on purpose.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    /// Which calls are meant; None: all.
    pub when: Option<FaultWhen>,
    /// The share of those that is hit, above 0 and at most 1.
    pub share: f64,
    /// Least and longest delay in nanoseconds; both 0: none.
    pub delay_ns: (u64, u64),
    /// The outcome that an abort names.
    pub abort: Option<Outcome>,
    /// The most calls in flight that it has delayed.
    pub max_active: u32,
    /// Whether it acts.
    pub mode: Mode,
}

/// Which calls a fault is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultWhen {
    /// The attribute's name.
    pub attribute: String,
    /// Its value, or how that begins; at most 32 bytes.
    pub value: String,
    /// Whether it is how the value begins.
    pub is_prefix: bool,
}

/// A throttle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottleRule {
    /// How many times as many calls as it accepts the callee is sent, 1 to 100.
    pub k: f64,
    /// The window in nanoseconds.
    pub window_ns: u64,
    /// The outcomes that are no accepts, as a sum of [`crate::retry::plan::bit`]s.
    pub refused_as: u8,
    /// Whether it acts.
    pub mode: Mode,
}

/// Retries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryRule {
    /// The most attempts, the first among them.
    pub max_attempts: u32,
    /// How long to wait before the next one.
    pub backoff: Backoff,
    /// No attempt begins so many nanoseconds after the first; 0: no such limit.
    pub max_elapsed_ns: u64,
    /// The outcomes that are tried again, as a sum of [`crate::retry::plan::bit`]s.
    pub retry_on: u8,
    /// What they may cost.
    pub budget: BudgetRule,
}

/// What retries and hedges may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetRule {
    /// How it is earned.
    pub kind: BudgetKind,
    /// What is kept for more critical calls.
    pub reserve: Reserve,
}

/// How a budget is earned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BudgetKind {
    /// See [`crate::retry::budget::ratio`].
    Ratio {
        /// Retries that a first attempt pays for.
        ratio: f64,
        /// Retries a second besides.
        min_per_sec: f64,
        /// How long what was not spent lasts, in nanoseconds.
        window_ns: u64,
    },
    /// See [`crate::retry::budget::quota::Quota::AWS`].
    Quota([u32; 4]),
}

impl Default for BudgetRule {
    /// Five retries for a hundred first attempts, and one a second.
    fn default() -> Self {
        let kind = BudgetKind::Ratio { ratio: 0.05, min_per_sec: 1.0, window_ns: 10_000_000_000 };
        BudgetRule { kind, reserve: Reserve::default() }
    }
}

/// Hedging.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeRule {
    /// How long an attempt is out before another is sent.
    pub delay: HedgeDelay,
    /// The most attempts besides the first.
    pub max: u32,
}

/// How long an attempt is out before another is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HedgeDelay {
    /// So many nanoseconds.
    Fixed(u64),
    /// A live quantile of the durations, within bounds in nanoseconds.
    Live {
        /// Above 0 and at most 1.
        quantile: f64,
        /// The least.
        min_ns: u64,
        /// The most.
        max_ns: u64,
    },
}

/// How a rate limit counts, and what only that way of counting needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateAlgorithm {
    /// Starts full and refills evenly.
    TokenBucket {
        /// Units that it holds, 1 to 10^12.
        burst: u64,
        /// How long a call may have to wait for its units, in nanoseconds; 0: it is refused.
        max_wait_ns: u64,
    },
    /// Lets calls through one by one, evenly spaced.
    Pacing {
        /// How long a call may have to wait for its turn, in nanoseconds.
        max_wait_ns: u64,
    },
    /// Counts from one multiple of `per_ns` to the next.
    FixedWindow,
    /// Counts the last `per_ns`, exact to a part of it.
    SlidingWindow {
        /// Parts, 2 to 60.
        buckets: u64,
    },
    /// Estimates the last `per_ns` from two fixed windows.
    SlidingCounter,
    /// Begins slowly after a pause.
    WarmUp {
        /// How much slower it begins, 1 to 100.
        cold_factor: f64,
        /// How long it takes to the full rate, in nanoseconds.
        warm_up_ns: u64,
        /// How long a call may have to wait for its turn, in nanoseconds; 0: it is refused.
        max_wait_ns: u64,
    },
}

/// A breaker. At least one of `error_ratio`, `error_count`, `slow` and `consecutive_failures` is set.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerRule {
    /// Opens at this share of bad calls in the window, above 0 and at most 1.
    pub error_ratio: Option<f64>,
    /// Opens at so many bad calls in the window, 1 to 1 000 000.
    pub error_count: Option<u32>,
    /// Opens at a share of slow calls in the window.
    pub slow: Option<SlowRule>,
    /// Opens after this many bad calls in a row, 1 to 1 000 000.
    pub consecutive_failures: Option<u32>,
    /// Width of the sliding window in nanoseconds, where it is one of time.
    pub window_ns: u64,
    /// The window in calls, 1 to 10 000, where it is one of calls.
    pub window_calls: Option<u32>,
    /// Calls that the window must hold before a share is judged.
    pub min_calls: u32,
    /// How long the breaker stays open before it tries again, in nanoseconds.
    pub open_for_ns: u64,
    /// Calls let through while half-open, 1 to 255.
    pub probes: u8,
    /// How many of them must pass.
    pub probes_needed: u8,
    /// Time in nanoseconds over which the admitted share climbs to all; None: at once.
    pub recover_over_ns: Option<u64>,
    /// After this many nanoseconds an unanswered probe is written off.
    pub probe_timeout_ns: u64,
    /// Whether it acts.
    pub mode: Mode,
}

/// What makes a call slow, and how many are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowRule {
    /// A call that takes longer than so many nanoseconds is slow.
    pub over_ns: u64,
    /// The share of slow calls that opens the breaker, above 0 and at most 1.
    pub ratio: f64,
}

/// A policy bound to a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// The name that the policy was loaded under, 1 to 64 bytes.
    pub name: String,
    /// Whether a call passes when the policy cannot answer.
    pub on_fail_allow: bool,
    /// Whether it acts.
    pub mode: Mode,
}

/// How a concurrency limit is found, and what only that way needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAlgorithm {
    /// It is [`ConcurrencyRule::max`].
    Fixed,
    /// Additive increase, multiplicative decrease.
    Aimd {
        /// The mean duration in nanoseconds over which it falls; None: only dropped calls lower it.
        target_ns: Option<u64>,
    },
    /// By the queue that durations tell of.
    Vegas,
    /// By the ratio of durations to those without a queue.
    Gradient2,
}

/// A concurrency limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyRule {
    /// How the limit is found.
    pub algorithm: LimitAlgorithm,
    /// The lowest limit; that of a fixed one is `max`.
    pub min: u32,
    /// Calls in flight at once, 1 to 16 000 000.
    pub max: u32,
    /// The limit to begin with; that of a fixed one is `max`.
    pub initial: u32,
    /// Whether the least critical calls are refused first.
    pub sheds: bool,
    /// Whether it acts.
    pub mode: Mode,
}

/// Protection of the whole process. At least one of `cpu` and `memory` is set.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemRule {
    /// The share of the container's CPU over which it guards, above 0 and at most 1.
    pub cpu: Option<f64>,
    /// The same of its memory.
    pub memory: Option<f64>,
    /// Whether it acts.
    pub mode: Mode,
}

/// A rate limit.
#[derive(Clone, Debug, PartialEq)]
pub struct RateRule {
    /// How it counts.
    pub algorithm: RateAlgorithm,
    /// Units in `per_ns`; above 0, a fraction only where the algorithm has a flow.
    pub limit: f64,
    /// The time of `limit`, in nanoseconds.
    pub per_ns: u64,
    /// The guard to whose pressure it gives way.
    pub follow: Option<FollowRule>,
    /// Where each key has a limit of its own.
    pub keyed: Option<KeyedRule>,
    /// Whether it acts.
    pub mode: Mode,
}

/// What a rate limit by key has besides.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedRule {
    /// The attribute that is the key, 1 to 128 bytes.
    pub key: String,
    /// Keys at once, 64 to 16 777 216.
    pub keys: u64,
    /// What becomes of those that find no place.
    pub on_full: OnFull,
    /// Keys with rules of their own, at most 64, each once.
    pub own: Vec<(String, OwnRule)>,
    /// How many of the keys that call most are readable: 0, or 8 to 64.
    pub hottest: usize,
}

/// What holds for one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OwnRule {
    /// It never passes.
    Deny,
    /// It always passes.
    Allow,
    /// Another limit.
    Limit {
        /// Units in `per_ns`; above 0.
        limit: f64,
        /// The time of `limit`, in nanoseconds.
        per_ns: u64,
        /// Units that its bucket holds, 1 to 10^12.
        burst: u64,
    },
}
