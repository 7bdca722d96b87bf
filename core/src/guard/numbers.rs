//! The compiled numbers of one guard's rules: an immutable block in the segment, tagged, so that a reader
//! who used one that was recycled meanwhile notices and begins again.

use crate::breaker::state::Timing;
use crate::breaker::window::{self, Threshold};
use crate::concurrency::fixed::{Hold, MAX_LIMIT};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::cell::MAX_RATES;
use crate::rate::token_bucket::Bucket;
use crate::rules::{BreakerRule, GuardRules, Mode};
use crate::segment::Shared;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes of a block.
pub const BYTES: usize = size_of::<Block>();

const RATE_WORDS: usize = 9;

/// A block: the tag, then plain numbers (see [`Numbers`]).
#[repr(C, align(64))]
pub struct Block {
    tag: AtomicU64,
    words: [AtomicU64; 16],
    rates: [[AtomicU64; RATE_WORDS]; MAX_RATES],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Block {}

/// A guard without rules: no stage but the deadline does anything.
pub static NO_RULES: Block = Block {
    tag: AtomicU64::new(0),
    words: [const { AtomicU64::new(0) }; 16],
    rates: [const { [const { AtomicU64::new(0) }; RATE_WORDS] }; MAX_RATES],
};

/// What the block's words mean, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Mode of the breaker.
    pub breaker_mode: Mode,
    /// Mode of the policy.
    pub policy_mode: Mode,
    /// Mode of the concurrency limit.
    pub concurrency_mode: Mode,
    /// Whether a policy that gives no answer lets pass.
    pub on_fail_allow: bool,
    /// The guard's own time limit in ns; 0: none.
    pub timeout_ns: u64,
    /// Epochs of `max_hold`.
    pub hold: Hold,
    /// `max_hold` in ns; 0: none.
    pub max_hold_ns: u64,
    /// The concurrency limit; 0: none.
    pub limit: u64,
    /// When the window opens the breaker.
    pub threshold: Threshold,
    /// Failures in a row that open it; 0: not looked at.
    pub consecutive: u64,
    /// Buckets of the window: see [`window::reciprocal`].
    pub window: u64,
    /// Times of the breaker.
    pub timing: Timing,
    /// Place and length of the policy's name; 0: none.
    pub policy: (u64, u64),
    /// The rate limits.
    pub rates: [Option<Rate>; MAX_RATES],
}

/// One rate limit, and what it was before the last change, so that whoever meets a word of the old numbers can
/// bring it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Its numbers.
    pub bucket: Bucket,
    /// Its numbers before.
    pub before: Option<Bucket>,
    /// Its mode.
    pub mode: Mode,
}

/// Modes of breaker, policy, concurrency (2 bits each), `on_fail` (bit 6), number of rates (from bit 8).
#[derive(Clone, Copy, Debug)]
pub struct Flags(u64);

impl Flags {
    /// Every stage off.
    pub const NONE: Flags = Flags(0);

    /// Mode of the breaker.
    #[inline(always)]
    pub fn breaker(self) -> Mode {
        mode(self.0)
    }

    /// Whether there is a breaker that is not off.
    #[inline(always)]
    pub fn has_breaker(self) -> bool {
        self.0 & 3 != 0
    }

    /// Mode of the policy.
    #[inline(always)]
    pub fn policy(self) -> Mode {
        mode(self.0 >> 2)
    }

    /// Whether there is a policy that is not off.
    #[inline(always)]
    pub fn has_policy(self) -> bool {
        self.0 >> 2 & 3 != 0
    }

    /// Mode of the concurrency limit.
    #[inline(always)]
    pub fn concurrency(self) -> Mode {
        mode(self.0 >> 4)
    }

    /// Whether a policy that gives no answer lets pass.
    #[inline(always)]
    pub fn on_fail_allow(self) -> bool {
        self.0 >> 6 & 1 == 1
    }

    /// Whether there is a rate limit.
    #[inline(always)]
    pub fn has_rates(self) -> bool {
        self.0 >> 8 & 7 != 0
    }

    /// How many rate limits there are.
    #[inline(always)]
    pub fn rates(self) -> usize {
        ((self.0 >> 8) as usize & 7).min(MAX_RATES)
    }
}

impl Block {
    /// The block's tag; 0: it is none.
    #[inline(always)]
    pub fn tag(&self) -> u64 {
        self.tag.load(Acquire)
    }

    #[inline(always)]
    fn word(&self, index: usize) -> u64 {
        self.words[index].load(Relaxed)
    }

    /// The modes, in one reading.
    #[inline(always)]
    pub fn flags(&self) -> Flags {
        Flags(self.word(0))
    }

    /// Whether there is no more to them than a breaker, a concurrency limit and a rate limit, all of them enforced.
    pub fn are_plain(&self) -> bool {
        let (flags, enforced) = (self.flags(), |mode| mode != Mode::Shadow);
        let rate = flags.rates() == 0 || flags.rates() == 1 && self.rate_mode(0) == Mode::Enforce;
        let stages = enforced(flags.breaker()) && enforced(flags.concurrency()) && !flags.has_policy();
        stages && rate && self.timeout_ns() == 0
    }

    /// Mode of the breaker.
    pub fn breaker_mode(&self) -> Mode {
        self.flags().breaker()
    }

    /// Mode of the concurrency limit.
    pub fn concurrency_mode(&self) -> Mode {
        self.flags().concurrency()
    }

    /// How many rate limits there are.
    pub fn rate_count(&self) -> usize {
        self.flags().rates()
    }

    /// The guard's time limit in ns; 0: none.
    #[inline(always)]
    pub fn timeout_ns(&self) -> u64 {
        self.word(1)
    }

    /// Epochs of `max_hold`.
    #[inline(always)]
    pub fn hold(&self) -> Hold {
        Hold { reciprocal: self.word(2), anchor: self.word(3), first: self.word(4) }
    }

    /// The concurrency limit that is enforced; as good as none where there is none.
    #[inline(always)]
    pub fn limit(&self) -> u64 {
        match self.word(5) {
            0 => u64::from(MAX_LIMIT),
            limit => limit,
        }
    }

    /// The concurrency limit as the rules give it; 0: none.
    pub fn read_limit(&self) -> u64 {
        self.word(5)
    }

    /// When the window opens the breaker.
    #[inline(always)]
    pub fn threshold(&self) -> Threshold {
        Threshold { ratio: self.word(6), min_calls: self.word(7) }
    }

    /// Failures in a row that open the breaker.
    #[inline(always)]
    pub fn consecutive(&self) -> u64 {
        self.word(8)
    }

    /// The window's reciprocal.
    #[inline(always)]
    pub fn window(&self) -> u64 {
        self.word(9)
    }

    /// Times of the breaker.
    #[inline(always)]
    pub fn timing(&self) -> Timing {
        Timing { open_for_ns: self.word(10), probes: self.word(11), probe_timeout_ns: self.word(12) }
    }

    /// Place and length of the policy's name.
    #[inline(always)]
    pub fn policy(&self) -> (u64, u64) {
        (self.word(13), self.word(14))
    }

    /// One rate limit's mode.
    #[inline(always)]
    pub fn rate_mode(&self, index: usize) -> Mode {
        mode(self.rates[index][8].load(Relaxed))
    }

    /// One rate limit's numbers.
    #[inline(always)]
    pub fn bucket(&self, index: usize) -> Bucket {
        self.bucket_at(index, 0)
    }

    /// Its numbers before the last change.
    pub fn bucket_before(&self, index: usize) -> Option<Bucket> {
        Some(self.bucket_at(index, 4)).filter(|bucket| bucket.generation != 0)
    }

    #[inline(always)]
    fn bucket_at(&self, index: usize, from: usize) -> Bucket {
        let words = &self.rates[index];
        let packed = words[from + 1].load(Relaxed);
        Bucket {
            interval: words[from].load(Relaxed),
            shift: (packed & 63) as u32,
            tolerance: words[from + 2].load(Relaxed),
            unit: words[from + 3].load(Relaxed),
            generation: packed >> 8 & 15,
        }
    }

    /// Everything, for comparisons and figures.
    pub fn read(&self) -> Numbers {
        let rate = |index: usize| {
            (index < self.rate_count()).then(|| Rate {
                bucket: self.bucket(index),
                before: self.bucket_before(index),
                mode: self.rate_mode(index),
            })
        };
        Numbers {
            breaker_mode: self.flags().breaker(),
            policy_mode: self.flags().policy(),
            concurrency_mode: self.flags().concurrency(),
            on_fail_allow: self.flags().on_fail_allow(),
            timeout_ns: self.timeout_ns(),
            hold: self.hold(),
            max_hold_ns: self.word(15),
            limit: self.word(5),
            threshold: self.threshold(),
            consecutive: self.consecutive(),
            window: self.window(),
            timing: self.timing(),
            policy: self.policy(),
            rates: std::array::from_fn(rate),
        }
    }

    /// Fills a new block; the tag last.
    pub fn write(&self, numbers: &Numbers, tag: u64) {
        let count = numbers.rates.iter().flatten().count() as u64;
        let flags = numbers.breaker_mode as u64
            | (numbers.policy_mode as u64) << 2
            | (numbers.concurrency_mode as u64) << 4
            | u64::from(numbers.on_fail_allow) << 6
            | count << 8;
        let (hold, timing) = (numbers.hold, numbers.timing);
        let words = [
            flags,
            numbers.timeout_ns,
            hold.reciprocal,
            hold.anchor,
            hold.first,
            numbers.limit,
            numbers.threshold.ratio,
            numbers.threshold.min_calls,
            numbers.consecutive,
            numbers.window,
            timing.open_for_ns,
            timing.probes,
            timing.probe_timeout_ns,
            numbers.policy.0,
            numbers.policy.1,
            numbers.max_hold_ns,
        ];
        for (to, from) in self.words.iter().zip(words) {
            to.store(from, Relaxed);
        }
        for (to, rate) in self.rates.iter().zip(numbers.rates.iter().flatten()) {
            write_rate(to, rate);
        }
        self.tag.store(tag, Release);
    }

    /// Marks a block as no longer valid, before its room is used again.
    pub fn void(&self) {
        self.tag.store(0, Release);
    }
}

fn write_rate(to: &[AtomicU64; RATE_WORDS], rate: &Rate) {
    let none = Bucket { interval: 0, shift: 0, unit: 0, tolerance: 0, generation: 0 };
    let before = rate.before.unwrap_or(none);
    let packed = |bucket: &Bucket| u64::from(bucket.shift) | bucket.generation << 8;
    let words_of = |bucket: &Bucket| [bucket.interval, packed(bucket), bucket.tolerance, bucket.unit];
    let words = words_of(&rate.bucket).into_iter().chain(words_of(&before)).chain([rate.mode as u64]);
    for (to, from) in to.iter().zip(words) {
        to.store(from, Relaxed);
    }
}

#[inline(always)]
fn mode(bits: u64) -> Mode {
    match bits & 3 {
        0 => Mode::Off,
        1 => Mode::Enforce,
        _ => Mode::Shadow,
    }
}

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
    numbers.threshold = Threshold { ratio, min_calls: rule.min_calls.into() };
    numbers.consecutive = rule.consecutive_failures.unwrap_or(0).into();
    numbers.window = window::reciprocal(rule.window_ns);
    numbers.timing =
        Timing { open_for_ns: rule.open_for_ns, probes: rule.probes.into(), probe_timeout_ns: rule.probe_timeout_ns };
}

fn compile_rate(rule: &crate::rules::RateRule, before: Option<&Rate>, index: usize) -> Result<Rate> {
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
