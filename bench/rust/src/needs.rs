//! The floor of each discipline: the clock reads and the uncontended atomic operations that it cannot do without.
//!
//! A guard measures how long its calls take and counts them in flight: two clock reads and two atomic adds, whatever stage it
//! has besides. What stages learn from is counted by plain stores into the thread's own lane, and costs no atomic operation.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::floor::Clock;
use crate::measure::Case;

/// The floors of all disciplines, who `floor`.
pub fn cases(clock: Clock) -> Vec<Case> {
    let mut cases = alone(clock);
    cases.extend(stages(clock));
    cases
}

/// Disciplines that the core has without a guard.
fn alone(clock: Clock) -> Vec<Case> {
    // A decision by time on one word.
    let limiters = ["limiter_allow", "pacing", "fixed_window", "sliding_counter", "sliding_window", "warm_up"];
    let mut cases: Vec<Case> = limiters.iter().map(|work| floor::<1, 1, 0>(work, clock)).collect();
    cases.extend([
        // Reserved and cancelled, each by the time that it is then.
        floor::<2, 2, 0>("limiter_reserve", clock),
        // Asked and ended, each by the time that it is then: an interval may be over.
        floor::<2, 2, 0>("breaker_counted", clock),
        // The first attempt earns the budget its share, which fades with time. Success says nothing to that budget.
        floor::<1, 1, 0>("retry", clock),
        // Earned at the beginning, spent at the failure.
        floor::<2, 2, 0>("retry_decision", clock),
        floor::<2, 2, 0>("retry_budget", clock),
        // The first attempt earns its share; later it is asked how much of the delay is left.
        floor::<2, 1, 0>("hedge", clock),
    ]);
    cases
}

/// Guards with one stage.
fn stages(clock: Clock) -> Vec<Case> {
    // The stage reads what is there, or counts in the thread's own lane.
    let read =
        ["concurrency", "aimd", "vegas", "gradient2", "shed", "breaker", "breaker_slow", "deadline", "fault", "system"];
    let mut cases: Vec<Case> = read.iter().map(|work| floor::<2, 0, 2>(work, clock)).collect();
    // A decision on one word more: the requests and accepts of a throttle, the bucket of a key, the bucket of a rate that follows.
    cases.extend(["throttle", "keyed", "follow"].iter().map(|work| floor::<2, 1, 2>(work, clock)));
    cases.extend([
        // The rate of DESIGN's floor of a guard, which is an add.
        floor::<2, 0, 3>("token_bucket", clock),
        // Each end takes its place among the last calls.
        floor::<2, 0, 3>("breaker_count", clock),
        // A throttle, a rate and a rate by key.
        floor::<2, 3, 2>("guard_everything", clock),
    ]);
    cases
}

/// So many clock reads, compare-and-swaps and adds: what is decided by time comes after the first clock read, and what is
/// counted as the call ends before the second. All words are on one cache line that no other thread touches.
fn floor<const CLOCKS: usize, const SWAPS: usize, const ADDS: usize>(work: &'static str, clock: Clock) -> Case {
    Case::new(work, "floor", move |_| {
        let words = Arc::new(CachePadded::new([const { AtomicU64::new(0) }; 8]));
        move || {
            let words = black_box(&words);
            let start = clock.now();
            words.iter().take(SWAPS).for_each(|word| swap(word, start));
            words.iter().skip(SWAPS).take(ADDS).for_each(add);
            if CLOCKS == 2 {
                black_box(clock.now() - start);
            }
        }
    })
}

fn add(word: &AtomicU64) {
    word.fetch_add(1, Ordering::Relaxed);
}

/// What a token bucket does that is never empty.
#[inline]
fn swap(word: &AtomicU64, now: u64) {
    let mut seen = word.load(Ordering::Relaxed);
    while let Err(other) = word.compare_exchange_weak(seen, seen.max(now) + 1, Ordering::Relaxed, Ordering::Relaxed) {
        seen = other;
    }
}
