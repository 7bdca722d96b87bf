//! What a limiter is made of, as its user says it.

use super::numbers::Numbers;
use crate::error::{Error, ErrorKind, Result};
use crate::rate::Rate;
use crate::rate::fixed_window::FixedWindow;
use crate::rate::limiter::Limiter as Bucket;
use crate::rate::pacing::Pacing;
use crate::rate::sliding_counter::SlidingCounter;
use crate::rate::sliding_window::SlidingWindow;
use crate::rate::warm_up::WarmUp;

/// How a limiter decides. The numbers are never used again for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Algorithm {
    /// See [`crate::rate::limiter`].
    #[default]
    TokenBucket = 0,
    /// See [`crate::rate::pacing`].
    Pacing = 1,
    /// See [`crate::rate::fixed_window`].
    FixedWindow = 2,
    /// See [`crate::rate::sliding_counter`].
    SlidingCounter = 3,
    /// See [`crate::rate::sliding_window`].
    SlidingWindow = 4,
    /// See [`crate::rate::warm_up`].
    WarmUp = 5,
}

impl Algorithm {
    /// All of them, each at its number.
    pub const ALL: [Algorithm; 6] = [
        Algorithm::TokenBucket,
        Algorithm::Pacing,
        Algorithm::FixedWindow,
        Algorithm::SlidingCounter,
        Algorithm::SlidingWindow,
        Algorithm::WarmUp,
    ];

    /// The algorithm of a number.
    pub fn of(number: u32) -> Option<Algorithm> {
        Algorithm::ALL.get(number as usize).copied()
    }
}

/// What a limiter is made of. What an algorithm does not have must stay as in the default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How it decides.
    pub algorithm: Algorithm,
    /// So much in each `per_ns`. A token bucket also knows infinity (or the largest float), which lets all pass, and 0, which gains
    /// nothing. Windows want a whole number.
    pub limit: f64,
    /// Nanoseconds; 0: a second.
    pub per_ns: u64,
    /// The most tokens of a token bucket; None: as many as `limit`, rounded up.
    pub burst: Option<u64>,
    /// The longest wait of [`super::Limiter::take`], in ns; 0: it refuses. Not of windows.
    pub max_wait_ns: u64,
    /// Of a sliding window: 2 to 60; 0: 10.
    pub buckets: u32,
    /// Of a warm-up: how long from cold to warm, in ns.
    pub warm_up_ns: u64,
    /// Of a warm-up: how much slower it is when cold, 1 to 1000; 0: 3.
    pub cold_factor: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            algorithm: Algorithm::TokenBucket,
            limit: 0.0,
            per_ns: 0,
            burst: None,
            max_wait_ns: 0,
            buckets: 0,
            warm_up_ns: 0,
            cold_factor: 0.0,
        }
    }
}

const SECOND: u64 = 1_000_000_000;
const MOST_WHOLE: f64 = (1u64 << 53) as f64;

impl Options {
    /// The tokens of `limit` in each second, and a burst of as many.
    pub fn token_bucket(limit: f64, burst: u64) -> Options {
        Options { limit, burst: Some(burst), ..Options::default() }
    }

    /// Ready for decisions, as change number `generation`; an error says what is out of its range.
    pub(super) fn numbers(&self, generation: u64) -> Result<Numbers> {
        self.check()?;
        let per = if self.per_ns == 0 { SECOND } else { self.per_ns };
        let (limit, whole, wait) = (self.limit, self.limit as u64, self.max_wait_ns);
        let made = match self.algorithm {
            Algorithm::TokenBucket => Bucket::per(limit, per, self.most(), generation).map(Numbers::Bucket),
            Algorithm::Pacing => Pacing::new(limit, per, wait, generation).map(Rate::Pacing).map(Numbers::Other),
            Algorithm::FixedWindow => {
                FixedWindow::new(whole, per, generation).map(Rate::FixedWindow).map(Numbers::Other)
            }
            Algorithm::SlidingCounter => {
                SlidingCounter::new(whole, per, generation).map(Rate::SlidingCounter).map(Numbers::Other)
            }
            Algorithm::SlidingWindow => {
                let buckets = if self.buckets == 0 { SlidingWindow::DEFAULT_BUCKETS } else { self.buckets.into() };
                SlidingWindow::new(whole, per, buckets, generation).map(Rate::SlidingWindow).map(Numbers::Other)
            }
            Algorithm::WarmUp => {
                let factor = if self.cold_factor == 0.0 { WarmUp::DEFAULT_COLD_FACTOR } else { self.cold_factor };
                WarmUp::new(limit, per, self.warm_up_ns, factor, wait, generation).map(Rate::WarmUp).map(Numbers::Other)
            }
        };
        made.ok_or_else(|| invalid(format!("limiter: {limit} in {per} ns is out of the range of {:?}", self.algorithm)))
    }

    fn most(&self) -> u64 {
        // Of no limit there is no number that would be right.
        self.burst.unwrap_or(if self.limit >= f64::MAX { 0 } else { self.limit.ceil() as u64 })
    }

    fn check(&self) -> Result<()> {
        let is = |algorithm| self.algorithm == algorithm;
        let window =
            [Algorithm::FixedWindow, Algorithm::SlidingCounter, Algorithm::SlidingWindow].contains(&self.algorithm);
        let whole = self.limit.fract() == 0.0 && (1.0..=MOST_WHOLE).contains(&self.limit);
        let wrong = [
            (self.limit.is_nan() || self.limit < 0.0, "limit: negative, or not a number"),
            (window && !whole, "limit: windows count, so it must be a whole number from 1 up"),
            (self.burst.is_some() && !is(Algorithm::TokenBucket), "burst: only a token bucket has one"),
            (self.max_wait_ns > 0 && window, "max_wait: a window makes nobody wait"),
            (self.buckets > 0 && !is(Algorithm::SlidingWindow), "buckets: only a sliding window has them"),
            (self.warm_up_ns > 0 && !is(Algorithm::WarmUp), "warm_up: only a warm-up has one"),
            (self.cold_factor != 0.0 && !is(Algorithm::WarmUp), "cold_factor: only a warm-up has one"),
        ];
        wrong.into_iter().find(|(is, _)| *is).map_or(Ok(()), |(_, what)| Err(invalid(format!("limiter: {what}"))))
    }
}

pub(super) fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, what)
}
