//! The compiled numbers of one guard's rules: an immutable block in the segment, tagged, so that a reader
//! who used one that was recycled meanwhile notices and begins again.

mod compile;
mod extra;
mod keyed;
mod load;
mod rate;
mod retry;

use crate::breaker::state::Timing;
use crate::breaker::window::Threshold;
use crate::concurrency::fixed::{Hold, MAX_LIMIT};
use crate::guard::cell::MAX_RATES;
use crate::rules::Mode;
use crate::segment::{Offset, Shared};
use std::sync::atomic::{AtomicU64, Ordering::*};

pub use compile::{Compiled, compile};
pub use extra::{EXTRA_BYTES, Extra, ExtraBlock, FAULT_WORDS, LAST_CALLS, MAX_FAULTS, OF_RATES, TABLES};
pub use keyed::{KeyedLimits, KeyedNumbers, compile_keyed};
pub use load::{LiveLimit, SystemNumbers};
pub use rate::{RateNumbers, RateWords};

/// Bytes of a block.
pub const BYTES: usize = size_of::<Block>();

const WORDS: usize = 20;

/// A block: the tag, then plain numbers (see [`Numbers`]).
#[repr(C, align(64))]
pub struct Block {
    tag: AtomicU64,
    words: [AtomicU64; WORDS],
    rates: [RateWords; MAX_RATES],
    /// Place of the numbers of further disciplines; 0: there are none.
    extra: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Block {}

/// A guard without rules: no stage but the deadline does anything.
pub static NO_RULES: Block = Block {
    tag: AtomicU64::new(0),
    words: [const { AtomicU64::new(0) }; WORDS],
    rates: [const { RateWords::none() }; MAX_RATES],
    extra: AtomicU64::new(0),
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
    /// Buckets of the window: see [`crate::breaker::window::reciprocal`].
    pub window: u64,
    /// Times of the breaker.
    pub timing: Timing,
    /// Place and length of the policy's name; 0: none.
    pub policy: (u64, u64),
    /// The rate limits.
    pub rates: [Option<RateNumbers>; MAX_RATES],
    /// Place of the numbers of further disciplines; 0: there are none.
    pub extra: Offset,
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

    /// The same with a breaker that refuses, where an operator holds it open whatever the rules say.
    pub fn held_open(self, open: bool) -> Flags {
        if open { Flags(self.0 & !3 | Mode::Enforce as u64) } else { self }
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

    /// Whether there is no more to them than a breaker, a concurrency limit and a rate limit, all of them enforced; apart from the extra
    /// ones.
    pub fn are_plain(&self) -> bool {
        let (flags, enforced) = (self.flags(), |mode| mode != Mode::Shadow);
        let is_plain = |rate: &RateWords| rate.one().is_some() || rate.is_keyed();
        let rate = flags.rates() == 0 || self.only_rate().is_some_and(is_plain);
        let stages = enforced(flags.breaker()) && enforced(flags.concurrency()) && !flags.has_policy();
        stages && rate && self.timeout_ns() == 0
    }

    /// The rate limit, where there is one alone, and it is enforced.
    pub fn only_rate(&self) -> Option<&RateWords> {
        let rate = self.rate(0);
        (self.rate_count() == 1 && rate.mode() == Mode::Enforce).then_some(rate)
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
        Threshold { ratio: self.word(6), min_calls: self.word(7), count: self.word(16), ..Threshold::NONE }
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
        let (open_for_ns, probes, probe_timeout_ns) = (self.word(10), self.word(11), self.word(12));
        let (probes_ok, recover_over_ns, first_share) = (self.word(17), self.word(18), self.word(19));
        Timing { open_for_ns, probes, probe_timeout_ns, probes_ok, recover_over_ns, first_share }
    }

    /// Place and length of the policy's name.
    #[inline(always)]
    pub fn policy(&self) -> (u64, u64) {
        (self.word(13), self.word(14))
    }

    /// One rate limit's words.
    #[inline(always)]
    pub fn rate(&self, index: usize) -> &RateWords {
        &self.rates[index % MAX_RATES]
    }

    /// Place of the numbers of further disciplines; 0: there are none.
    #[inline(always)]
    pub fn extra(&self) -> Offset {
        self.extra.load(Relaxed) as Offset
    }

    /// Everything, for comparisons and figures.
    pub fn read(&self) -> Numbers {
        let rate = |index: usize| self.rates[index].read().filter(|_| index < self.rate_count());
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
            extra: self.extra(),
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
            numbers.threshold.count,
            timing.probes_ok,
            timing.recover_over_ns,
            timing.first_share,
        ];
        for (to, from) in self.words.iter().zip(words) {
            to.store(from, Relaxed);
        }
        for (to, rate) in self.rates.iter().zip(numbers.rates.iter().flatten()) {
            to.write(rate);
        }
        self.extra.store(numbers.extra.into(), Relaxed);
        self.tag.store(tag, Release);
    }

    /// Marks a block as no longer valid, before its room is used again.
    pub fn void(&self) {
        self.tag.store(0, Release);
    }
}

#[inline(always)]
pub(in crate::guard) fn mode(bits: u64) -> Mode {
    match bits & 3 {
        0 => Mode::Off,
        1 => Mode::Enforce,
        _ => Mode::Shadow,
    }
}
