//! From rules to the numbers of deadlines, faults, the throttle, retries and hedges.

use super::{Extra, FAULT_WORDS, MAX_FAULTS};
use crate::deadline::enough::Enough;
use crate::error::{Error, ErrorKind, Result};
use crate::fault::when::When;
use crate::fault::{Abort, Fault, PPM, Spec};
use crate::retry::budget::Budget;
use crate::retry::budget::quota::Quota;
use crate::retry::budget::ratio::Ratio;
use crate::retry::hedge::{Delay, Hedge};
use crate::retry::plan::Plan;
use crate::rules::{BudgetKind, BudgetRule, FaultRule, GuardRules, HedgeDelay, HedgeRule, Mode};
use crate::throttle::Throttle;

/// In a fault's words: those that are of its rule; the others are of its time.
const OF_RULE: usize = 10;

/// Fills in what these rules say of them, going on from the numbers before. Faults get their time and attribute by
/// [`Extra::settle_fault`].
pub(super) fn compile_others(rules: &GuardRules, before: &Extra, extra: &mut Extra) -> Result<()> {
    if let Some(rule) = rules.deadline.filter(|rule| rule.mode != Mode::Off) {
        let enough = Enough::new(rule.factor).ok_or_else(|| absurd("deadline"))?;
        extra.deadline = [millionths(rule.usual), enough.word(), rule.mode as u64];
    }
    for (number, rule) in rules.faults.iter().take(MAX_FAULTS).enumerate() {
        extra.set_fault(number, &fault(rule, 0).ok_or_else(|| absurd("faults"))?, rule.mode);
    }
    if let Some(rule) = rules.throttle.filter(|rule| rule.mode != Mode::Off) {
        let throttle = Throttle::new(rule.k, rule.window_ns, 0).ok_or_else(|| absurd("throttle"))?;
        let [k, reciprocal, seed, ..] = throttle.words();
        extra.throttle = [k, reciprocal, seed, rule.refused_as.into(), rule.mode as u64];
    }
    if let Some(rule) = &rules.retry {
        let plan = Plan::new(rule.backoff, rule.max_attempts, rule.max_elapsed_ns, rule.retry_on);
        extra.retry = plan.ok_or_else(|| absurd("retry"))?.words();
    }
    if let Some(rule) = &rules.hedge {
        extra.hedge = hedge(rule).ok_or_else(|| absurd("hedge"))?;
    }
    if rules.retry.is_some() || rules.hedge.is_some() {
        compile_budget(&rules.retry.map(|rule| rule.budget).unwrap_or_default(), before, extra)?;
    }
    Ok(())
}

fn absurd(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{what}: its numbers do not fit together"))
}

fn millionths(share: f64) -> u64 {
    ((share * f64::from(PPM)).round() as u64).max(1)
}

fn fault(rule: &FaultRule, now: u64) -> Option<Fault> {
    let when = match &rule.when {
        None => When::any(),
        Some(when) if when.is_prefix => When::prefix(0, when.value.as_bytes())?,
        Some(when) => When::equal(0, when.value.as_bytes())?,
    };
    let spec = Spec {
        when,
        share_ppm: millionths(rule.share) as u32,
        delay_ns: rule.delay_ns,
        abort: rule.abort.map(|outcome| Abort { outcome, status: 0 }),
        max_active: rule.max_active,
        seed: 0,
    };
    Fault::new(spec, now, 0)
}

fn hedge(rule: &HedgeRule) -> Option<[u64; 8]> {
    let (delay, quantile) = match rule.delay {
        HedgeDelay::Fixed(ns) => (Delay::Fixed(ns), 0),
        HedgeDelay::Live { quantile, min_ns, max_ns } => (Delay::Live { min_ns, max_ns }, millionths(quantile)),
    };
    let mut words = Hedge::new(delay, rule.max)?.words();
    words[7] = quantile;
    Some(words)
}

/// A change of the numbers is a new generation of them, so that a word of the old ones is known for one.
fn compile_budget(rule: &BudgetRule, before: &Extra, extra: &mut Extra) -> Result<()> {
    let numbers = |generation: u64| match rule.kind {
        BudgetKind::Ratio { ratio, min_per_sec, window_ns } => {
            Ratio::new(ratio, min_per_sec, window_ns, rule.reserve, generation).map(Budget::Ratio)
        }
        BudgetKind::Quota(quota) => Quota::new(quota, rule.reserve, generation).map(Budget::Quota),
    };
    let generation = before.budget[1];
    if numbers(generation).is_some_and(|same| same.words() == before.budget) {
        (extra.budget, extra.budget_before) = (before.budget, before.budget_before);
        return Ok(());
    }
    let new = numbers(generation % 15 + 1).ok_or_else(|| absurd("retry.budget"))?;
    (extra.budget, extra.budget_before) = (new.words(), before.budget);
    Ok(())
}

impl Extra {
    /// Gives a fault the id of the attribute that it looks at (0: it looks at none), and its time: that which it has where
    /// nothing else changed.
    pub fn settle_fault(&mut self, number: usize, id: u32, before: &Extra, now: u64) {
        let (mut words, old) = (self.fault(number), before.fault(number));
        let mode = words[FAULT_WORDS - 1];
        words[0] |= u64::from(id);
        let was_there = old != [0; FAULT_WORDS];
        words = match was_there && words[..OF_RULE] == old[..OF_RULE] {
            true => old,
            false => Fault::of(words).beginning(now, if was_there { Fault::of(old).epoch(now) } else { 0 }).words(),
        };
        words[FAULT_WORDS - 1] = mode;
        let from = number % MAX_FAULTS * FAULT_WORDS;
        self.faults[from..from + FAULT_WORDS].copy_from_slice(&words);
    }
}
