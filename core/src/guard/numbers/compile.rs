//! From a guard's rules to its numbers.

use super::{Extra, KeyedLimits, LAST_CALLS, LiveLimit, NO_RULES, Numbers, OF_RATES, RateNumbers, SystemNumbers};
use crate::breaker::last_calls::HEAD_WORDS;
use crate::breaker::running::Slow;
use crate::breaker::state::Timing;
use crate::breaker::window::{self, Threshold};
use crate::concurrency::fixed::Hold;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::cell::MAX_RATES;
use crate::rate::Rate;
use crate::rate::fixed_window::FixedWindow;
use crate::rate::pacing::Pacing;
use crate::rate::reserve::Reserving;
use crate::rate::sliding_counter::SlidingCounter;
use crate::rate::sliding_window::SlidingWindow;
use crate::rate::token_bucket::Bucket;
use crate::rate::warm_up::WarmUp;
use crate::rules::{BreakerRule, GuardRules, RateAlgorithm, RateRule};

/// The share of calls that a recovering breaker begins with: a sixteenth.
const FIRST_SHARE: u64 = 1 << 12;

/// A guard's numbers, before they have a place in the segment, so without what stands beside them there.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Those that every guard has.
    pub numbers: Numbers,
    /// Those of further disciplines.
    pub extra: Extra,
    /// Those of rate limits by key.
    pub keyed: KeyedLimits,
}

impl Compiled {
    /// Of no rules.
    pub fn nothing() -> Compiled {
        Compiled { numbers: NO_RULES.read(), extra: Extra::NONE, keyed: KeyedLimits::default() }
    }

    /// Whether both are the same but for places.
    pub fn says_the_same_as(&self, other: &Compiled) -> bool {
        let placed = Numbers { policy: other.numbers.policy, extra: other.numbers.extra, ..self.numbers };
        let same = placed == other.numbers && self.extra.unplaced() == other.extra.unplaced();
        same && self.keyed == other.keyed
    }
}

/// Compiles a guard's rules, going on from the numbers that it has; without its limits by key, for which see [`super::compile_keyed`].
pub fn compile(rules: &GuardRules, before: &Compiled, now: u64) -> Result<Compiled> {
    let (mut extra, before_extra, before) = (Extra::NONE, before.extra, &before.numbers);
    let mut numbers = NO_RULES.read();
    numbers.timeout_ns = rules.timeout_ns.unwrap_or(0);
    numbers.max_hold_ns = rules.max_hold_ns.unwrap_or(0);
    numbers.hold = match numbers.max_hold_ns == before.max_hold_ns {
        true => before.hold,
        // Two epochs on would drop every permit in flight, so the count of epochs goes on.
        false => Hold::new(rules.max_hold_ns, now, before.hold.epoch(now)),
    };
    if let Some(rule) = &rules.concurrency {
        numbers.concurrency_mode = rule.mode;
        numbers.limit = u64::from(rule.max);
        extra.limit = LiveLimit::words_of(rule);
    }
    if let Some(rule) = &rules.system {
        extra.system = SystemNumbers::words_of(rule);
    }
    if let Some(rule) = &rules.policy {
        numbers.policy_mode = rule.mode;
        numbers.on_fail_allow = rule.on_fail_allow;
    }
    if let Some(rule) = &rules.breaker {
        compile_breaker(rule, &mut numbers);
        compile_rest_of_breaker(rule, &before_extra, &mut extra);
    }
    super::retry::compile_others(rules, &before_extra, &mut extra)?;
    for (index, rule) in rules.rate.iter().take(MAX_RATES).enumerate() {
        let rate = compile_rate(rule, before.rates[index].as_ref(), index)?;
        extra.set_table(OF_RATES + index, [0, rate.rate.buckets() as u64]);
        numbers.rates[index] = Some(rate);
    }
    Ok(Compiled { numbers, extra, keyed: KeyedLimits::default() })
}

fn compile_breaker(rule: &BreakerRule, numbers: &mut Numbers) {
    numbers.breaker_mode = rule.mode;
    let ratio = rule.error_ratio.map_or(0, share);
    let (count, min_calls) = (rule.error_count.unwrap_or(0).into(), rule.min_calls.into());
    numbers.threshold = Threshold { ratio, min_calls, count, ..Threshold::NONE };
    numbers.consecutive = rule.consecutive_failures.unwrap_or(0).into();
    numbers.window = window::reciprocal(rule.window_ns);
    numbers.timing = Timing {
        open_for_ns: rule.open_for_ns,
        probes: rule.probes.into(),
        probe_timeout_ns: rule.probe_timeout_ns,
        probes_ok: rule.probes_needed.into(),
        recover_over_ns: rule.recover_over_ns.unwrap_or(0),
        first_share: FIRST_SHARE,
    };
}

/// What only some breakers have.
fn compile_rest_of_breaker(rule: &BreakerRule, before: &Extra, extra: &mut Extra) {
    if let Some(slow) = &rule.slow {
        let same = before.slow[1] == slow.over_ns;
        let [reciprocal, turn] = Slow::new(slow.over_ns, before.slow[3] + u64::from(!same)).words();
        extra.slow = [share(slow.ratio), slow.over_ns, reciprocal, turn];
    }
    if let Some(calls) = rule.window_calls {
        extra.set_table(LAST_CALLS, [0, u64::from(calls) + HEAD_WORDS as u64]);
    }
}

/// In 32-bit fixed point, rounded down: nine bad calls of ten are a share of 0.9.
fn share(ratio: f64) -> u64 {
    ((ratio * 2f64.powi(32)) as u64).max(1)
}

fn compile_rate(rule: &RateRule, before: Option<&RateNumbers>, index: usize) -> Result<RateNumbers> {
    let generation = before.map_or(0, |numbers| numbers.rate.generation());
    let numbers = |generation| rate_of(rule, generation);
    if let Some(same) = before.filter(|before| numbers(generation) == Some(before.rate)) {
        return Ok(RateNumbers { mode: rule.mode, keyed: rule.keyed.is_some(), ..*same });
    }
    let rate = numbers(generation % 15 + 1).ok_or_else(|| unfit(rule, index))?;
    let before = before.map(|before| before.rate);
    Ok(RateNumbers { rate, before, keyed: rule.keyed.is_some(), mode: rule.mode })
}

/// The numbers of a rule in some generation, if the algorithm can hold them.
fn rate_of(rule: &RateRule, generation: u64) -> Option<Rate> {
    let (limit, per) = (rule.limit, rule.per_ns);
    match rule.algorithm {
        RateAlgorithm::TokenBucket { burst, max_wait_ns: 0 } => {
            Bucket::new(limit, per, burst, generation).map(Rate::TokenBucket)
        }
        RateAlgorithm::TokenBucket { burst, max_wait_ns } => {
            Reserving::new(limit, per, burst, max_wait_ns, generation).map(Rate::Reserving)
        }
        RateAlgorithm::Pacing { max_wait_ns } => Pacing::new(limit, per, max_wait_ns, generation).map(Rate::Pacing),
        RateAlgorithm::FixedWindow => FixedWindow::new(limit as u64, per, generation).map(Rate::FixedWindow),
        RateAlgorithm::SlidingCounter => SlidingCounter::new(limit as u64, per, generation).map(Rate::SlidingCounter),
        RateAlgorithm::SlidingWindow { buckets } => {
            SlidingWindow::new(limit as u64, per, buckets, generation).map(Rate::SlidingWindow)
        }
        RateAlgorithm::WarmUp { cold_factor, warm_up_ns, max_wait_ns } => {
            WarmUp::new(limit, per, warm_up_ns, cold_factor, max_wait_ns, generation).map(Rate::WarmUp)
        }
    }
}

/// What a rule asks for that its algorithm cannot hold.
pub(super) fn unfit(rule: &RateRule, index: usize) -> Error {
    let (limit, per) = (rule.limit, rule.per_ns);
    let what = match rule.algorithm {
        RateAlgorithm::TokenBucket { burst, .. } => {
            format!(
                "a bucket of {burst} tokens at {limit} in {per} ns takes over a year to fill; lower burst or raise limit"
            )
        }
        RateAlgorithm::SlidingCounter | RateAlgorithm::SlidingWindow { .. } => {
            format!("a sliding window counts up to {}, not {limit}; a token_bucket takes more", (1 << 22) - 1)
        }
        _ => format!("{limit} in {per} ns is more than this algorithm can hold; a token_bucket takes more"),
    };
    Error::new(ErrorKind::Invalid, format!("rate[{index}]: {what}"))
}
