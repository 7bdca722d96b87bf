//! A guard's figures, summed over the slots. **Cold.**

use super::cell::*;
use super::extra::{self, DELAYED_CALLS, HEDGES, OVERFLOWED, RETRIED, RETRIES};
use super::handle::Guard;
use super::keyed_limit::KeyedLimit;
use super::load_stage::limit_in_force;
use super::numbers::{Block, ExtraBlock};
use crate::breaker::state::{Breaker, State};
use crate::concurrency::fixed::Held;
use crate::error::Result;
use crate::metrics::histogram::Histogram;
use crate::retry::budget::Budget;
use crate::rules::Mode;
use crate::segment::Segment;
use crate::segment::directory::Found;
use crate::slot::lane::{RunPlace, each_run};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::*;

/// What a guard did and how it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuardStats {
    /// The breaker's state; None: no breaker.
    pub breaker: Option<State>,
    /// How often the breaker went to each state, as [`State::ALL`] has them.
    pub breaker_transitions: [u64; 7],
    /// Calls in flight.
    pub inflight: u64,
    /// The concurrency limit in force; 0: none.
    pub limit: u64,
    /// Exits by outcome.
    pub calls: [u64; 6],
    /// Refusals by stage number.
    pub rejected: [u64; 9],
    /// What stages in shadow mode would have refused, by stage number.
    pub shadow_rejected: [u64; 9],
    /// Permits that `max_hold` took back.
    pub expired: u64,
    /// Exits that held nothing or were another process's.
    pub misused_exits: u64,
    /// Calls that no policy answered.
    pub policy_failed: u64,
    /// Calls that a fault delayed.
    pub delayed: u64,
    /// What became of retries and hedges; None: the guard has neither.
    pub retries: Option<RetryStats>,
    /// Durations in seconds.
    pub latency: Histogram,
    /// Of rate limits by key, each at its index.
    pub keyed: [Option<KeyedStats>; MAX_RATES],
}

/// What a rate limit by key holds and could not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyedStats {
    /// About how many keys have used tokens and not got them back by now.
    pub live: u64,
    /// Calls whose keys found no place.
    pub overflowed: u64,
}

/// What became of retries and hedges.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetryStats {
    /// What was decided after attempts: first to try again, then each reason against it, by
    /// [`crate::retry::plan::Reason`]'s numbers + 1.
    pub decided: [u64; 8],
    /// Attempts that were followed by another: failures, timeouts, overloads, refusals.
    pub followed: [u64; 4],
    /// Hedges that were sent.
    pub hedges: u64,
    /// Retries that a critical call could make now.
    pub budget_left: u64,
}

impl Guard {
    /// The guard's figures.
    pub fn stats(&self) -> Result<GuardStats> {
        self.alive()?;
        Ok(read(self.shared.segment(), self.found(), self.cell(), self.numbers(), self.now()))
    }
}

/// Sums a guard's figures.
pub fn read(segment: &Segment, found: Found, guard: &GuardCell, numbers: &Block, now: u64) -> GuardStats {
    let mut stats = GuardStats {
        breaker: Some(Breaker::of(guard.hot.breaker.load(Relaxed)).state)
            .filter(|&state| numbers.breaker_mode() != Mode::Off || state == State::ForcedOpen),
        breaker_transitions: guard.transitions.each_ref().map(|count| count.load(Relaxed)),
        inflight: Held::of(guard.hot.concurrency.load(Relaxed)).inflight(),
        limit: limit_in_force(numbers, segment.at(numbers.extra()).zip(segment.at(guard.extra.load(Acquire)))),
        ..GuardStats::default()
    };
    let place = RunPlace(guard.cell.run.load(Relaxed));
    each_run(segment, place, RUN, found.generation, |_, run| stats.add(segment, run));
    stats.retries = retries(segment, guard, numbers, now);
    let second = RunPlace(guard.second.load(Relaxed));
    each_run(segment, second, SECOND, found.generation, |_, run| stats.add_second(run));
    if numbers.extra() != 0 {
        stats.keyed = read_keyed(segment, found, guard, numbers);
    }
    stats
}

fn read_keyed(segment: &Segment, found: Found, guard: &GuardCell, numbers: &Block) -> [Option<KeyedStats>; MAX_RATES] {
    let (view, now) = (segment.view(), segment.header().clock.now());
    let mut stats = std::array::from_fn(|index| {
        let limit = KeyedLimit::of(&view, numbers, numbers.tag(), index)?;
        Some(KeyedStats { live: limit.live_keys(now), overflowed: 0 })
    });
    let second = RunPlace(guard.second.load(Relaxed));
    each_run(segment, second, SECOND, found.generation, |_, run| {
        for (stats, count) in stats.iter_mut().zip(&run[OVERFLOWED..]) {
            stats.iter_mut().for_each(|stats| stats.overflowed += count.load(Relaxed));
        }
    });
    stats
}

/// The figures of retries and hedges, none counted yet.
fn retries(segment: &Segment, guard: &GuardCell, numbers: &Block, now: u64) -> Option<RetryStats> {
    let extra = segment.at::<ExtraBlock>(numbers.extra())?;
    let state = segment.at::<extra::State>(guard.extra.load(Acquire))?;
    let (budget, seen) = (Budget::of(extra.budget()), state.budget[0].load(Relaxed));
    let left = || budget.retries_left(seen, now);
    (budget != Budget::Unlimited).then(|| RetryStats { budget_left: left(), ..RetryStats::default() })
}

impl GuardStats {
    fn add(&mut self, segment: &Segment, run: &[AtomicU64]) {
        add_all(&mut self.calls, &run[CALLS..]);
        add_all(&mut self.rejected, &run[REJECTED..]);
        add_all(&mut self.shadow_rejected, &run[SHADOWED..]);
        self.expired += run[EXPIRED].load(Relaxed);
        self.misused_exits += run[MISUSED].load(Relaxed);
        self.policy_failed += run[POLICY_FAILED].load(Relaxed);
        self.latency.add_ns(segment, run, LATENCY);
    }

    fn add_second(&mut self, run: &[AtomicU64]) {
        self.delayed += run[DELAYED_CALLS].load(Relaxed);
        if let Some(retries) = &mut self.retries {
            // Modulo 2^64: a retry that was abandoned may be taken off elsewhere than it was counted.
            add_all(&mut retries.decided, &run[RETRIES..]);
            add_all(&mut retries.followed, &run[RETRIED..]);
            retries.hedges += run[HEDGES].load(Relaxed);
        }
    }
}

fn add_all(sums: &mut [u64], words: &[AtomicU64]) {
    for (sum, word) in sums.iter_mut().zip(words) {
        *sum = sum.wrapping_add(word.load(Relaxed));
    }
}
