//! From a guard's rules to its numbers.

use super::{NO_RULES, Numbers, Rate};
use crate::breaker::state::Timing;
use crate::breaker::window::{self, Threshold};
use crate::concurrency::fixed::Hold;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::cell::MAX_RATES;
use crate::rate::token_bucket::Bucket;
use crate::rules::{BreakerRule, GuardRules, RateRule};

/// Compiles a guard's rules, going on from the numbers that it has. The policy's name is put in by the caller, who
/// knows where it stands.
pub fn compile(rules: &GuardRules, before: &Numbers, now: u64) -> Result<Numbers> {
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
    }
    if let Some(rule) = &rules.policy {
        numbers.policy_mode = rule.mode;
        numbers.on_fail_allow = rule.on_fail_allow;
    }
    if let Some(rule) = &rules.breaker {
        compile_breaker(rule, &mut numbers);
    }
    for (index, rule) in rules.rate.iter().take(MAX_RATES).enumerate() {
        numbers.rates[index] = Some(compile_rate(rule, before.rates[index].as_ref(), index)?);
    }
    Ok(numbers)
}

fn compile_breaker(rule: &BreakerRule, numbers: &mut Numbers) {
    numbers.breaker_mode = rule.mode;
    // Rounded down: nine bad calls of ten are a share of 0.9.
    let ratio = rule.error_ratio.map_or(0, |ratio| ((ratio * 2f64.powi(32)) as u64).max(1));
    numbers.threshold = Threshold { ratio, min_calls: rule.min_calls.into(), ..Threshold::NONE };
    numbers.consecutive = rule.consecutive_failures.unwrap_or(0).into();
    numbers.window = window::reciprocal(rule.window_ns);
    let (open_for_ns, probe_timeout_ns) = (rule.open_for_ns, rule.probe_timeout_ns);
    numbers.timing = Timing { open_for_ns, probes: rule.probes.into(), probe_timeout_ns, ..Timing::PLAIN };
}

fn compile_rate(rule: &RateRule, before: Option<&Rate>, index: usize) -> Result<Rate> {
    let generation = before.map_or(0, |rate| rate.bucket.generation);
    let numbers = |generation| Bucket::new(rule.limit, rule.per_ns, rule.burst, generation);
    if let Some(same) = before.filter(|rate| numbers(generation) == Some(rate.bucket)) {
        return Ok(Rate { mode: rule.mode, ..*same });
    }
    let Some(bucket) = numbers(generation % 15 + 1) else {
        let what = format!(
            "rate[{index}]: a bucket of {} tokens at {} in {} ns takes over a year to fill; lower burst or raise limit",
            rule.burst, rule.limit, rule.per_ns
        );
        return Err(Error::new(ErrorKind::Invalid, what));
    };
    Ok(Rate { bucket, before: before.map(|rate| rate.bucket), mode: rule.mode })
}
