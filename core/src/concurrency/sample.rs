//! What an adaptive limit learns from: three words in each thread slot's run, written by plain stores at exit and
//! summed once a window.
//!
//! The words: window's index (24 bits) | samples (20) | drops (20); the samples' durations in ns, added up; the most
//! that were in flight. Words of another window are passed over, and cleared by their own thread when it counts next. A
//! sum may miss the calls that end while it is taken, one or two a thread. On the lane that threads beyond the slots share,
//! calls that end while a window turns may be lost too.
//!
//! Each duration counts for at most [`CLIP`] times the recent mean: a pause that lengthens some calls a hundredfold
//! moves a mean little (a winsorized mean), while a service that has become slower still shows within a few windows.

use super::adaptive::RoundTrip;
use crate::guard::Outcome;
use crate::slot::lane::Count;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Words of a slot.
pub const WORDS: usize = 3;
/// A sample counts for at most so many times the recent mean.
pub const CLIP: u64 = 4;
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const TAG_AT: u32 = 2 * COUNT_BITS;

/// A call that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in ns.
    pub duration_ns: u64,
    /// How many were in flight with it.
    pub inflight: u64,
}

/// What one window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sum {
    /// Calls whose duration counts: successes and failures.
    pub samples: u64,
    /// Timeouts, and calls that the callee refused for having too much to do.
    pub drops: u64,
    /// The samples' durations in ns, clipped, added up.
    pub total_ns: u64,
    /// The most that were in flight when a call ended.
    pub peak: u64,
}

impl Sum {
    /// The mean duration in ns; 0 without samples.
    pub fn mean_ns(&self) -> u64 {
        self.total_ns.checked_div(self.samples).unwrap_or(0)
    }

    /// The share of calls that were dropped, 0 to 1.
    pub fn drop_share(&self) -> f64 {
        self.drops as f64 / (self.samples + self.drops).max(1) as f64
    }
}

/// Counts a call at words `base`.. of the run, for the window of this index; durations are clipped by what
/// `round_trip` (a word of [`RoundTrip`]) says. A sample that took no time says that the clock stands, and is not
/// counted. **Hot.**
#[inline(always)]
pub fn count<'a>(run: impl Count<'a>, base: usize, index: u64, round_trip: u64, sample: &Sample) {
    let one = match sample.outcome {
        Outcome::Success | Outcome::Failure if sample.duration_ns > 0 => 1 << COUNT_BITS,
        Outcome::Timeout | Outcome::Overloaded => 1,
        _ => return,
    };
    let head = run.word(base).load(Relaxed);
    if head >> TAG_AT != index {
        begin(run, base, index);
    } else if is_full(head) {
        return;
    }
    run.add(base, one);
    if one > 1 {
        run.add(base + 1, sample.duration_ns.min(RoundTrip::clip_ns(round_trip)));
    }
    if run.word(base + 2).load(Relaxed) < sample.inflight {
        run.change(base + 2, |peak| peak.max(sample.inflight));
    }
}

/// Whether a count is at its end, so that the next would spill. (A million calls of one thread in a window.)
#[inline(always)]
const fn is_full(head: u64) -> bool {
    // Room for the threads that share a lane and look at the same time.
    let most = COUNT_MASK - 1024;
    head & COUNT_MASK >= most || head >> COUNT_BITS & COUNT_MASK >= most
}

#[cold]
fn begin<'a>(run: impl Count<'a>, base: usize, index: u64) {
    run.word(base + 1).store(0, Relaxed);
    run.word(base + 2).store(0, Relaxed);
    run.word(base).store(index << TAG_AT, Release);
}

/// Adds what one slot holds of the window of this index. **Cold.**
pub fn add_up(words: &[AtomicU64; WORDS], index: u64, sum: &mut Sum) {
    let [head, total, peak] = words;
    let head = head.load(Acquire);
    if head >> TAG_AT == index {
        sum.samples += head >> COUNT_BITS & COUNT_MASK;
        sum.drops += head & COUNT_MASK;
        sum.total_ns = sum.total_ns.saturating_add(total.load(Relaxed));
        sum.peak = sum.peak.max(peak.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::lane::Own;
    use proptest::prelude::*;

    fn words() -> [AtomicU64; 4] {
        Default::default()
    }

    fn sum_of(words: &[AtomicU64; 4], index: u64) -> Sum {
        let mut sum = Sum::default();
        add_up(words.first_chunk().unwrap(), index, &mut sum);
        sum
    }

    fn sample(outcome: Outcome, duration_ns: u64, inflight: u64) -> Sample {
        Sample { outcome, duration_ns, inflight }
    }

    #[test]
    fn outcomes_count_as_the_design_says() {
        let words = words();
        for outcome in Outcome::ALL {
            count(Own::new(&words), 0, 5, 0, &sample(outcome, 1000, outcome as u64));
        }
        assert_eq!(sum_of(&words, 5), Sum { samples: 2, drops: 2, total_ns: 2000, peak: Outcome::Overloaded as u64 });
        assert_eq!(sum_of(&words, 4), Sum::default(), "of another window");
    }

    #[test]
    fn the_next_window_begins_with_nothing() {
        let words = words();
        count(Own::new(&words), 0, 5, 0, &sample(Outcome::Success, 1000, 70));
        count(Own::new(&words), 0, 6, 0, &sample(Outcome::Success, 500, 3));
        assert_eq!(sum_of(&words, 6), Sum { samples: 1, drops: 0, total_ns: 500, peak: 3 });
    }

    #[test]
    fn nc156_one_pause_moves_the_mean_little() {
        let words = words();
        let recent = RoundTrip { baseline_ns: 0, recent_ns: 1 << 20 }.word();
        for call in 0..100 {
            let duration_ns = if call < 10 { 10_000_000_000 } else { 1 << 20 };
            count(Own::new(&words), 0, 0, recent, &sample(Outcome::Success, duration_ns, 1));
        }
        let mean = sum_of(&words, 0).mean_ns() as f64 / (1 << 20) as f64;
        assert!((1.29..1.31).contains(&mean), "{mean}");
    }

    #[test]
    fn nc156_a_clock_that_stands_gives_no_samples() {
        let words = words();
        count(Own::new(&words), 0, 0, 0, &sample(Outcome::Success, 0, 9));
        assert_eq!(sum_of(&words, 0), Sum::default());
    }

    #[test]
    fn a_full_count_does_not_spill() {
        let words = words();
        words[0].store(3 << TAG_AT | (COUNT_MASK - 1026) << COUNT_BITS, Relaxed);
        for _ in 0..5000 {
            count(Own::new(&words), 0, 3, 0, &sample(Outcome::Success, 1, 1));
        }
        assert_eq!(sum_of(&words, 3).samples, COUNT_MASK - 1024);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_sum(calls in prop::collection::vec((0usize..6, 0u64..1 << 40, 0u64..16_000_000), 0..200), index in 0u64..1 << 24) {
            let words = words();
            let mut plain = Sum::default();
            for (outcome, duration_ns, inflight) in calls {
                let outcome = Outcome::ALL[outcome];
                count(Own::new(&words), 0, index, 0, &sample(outcome, duration_ns, inflight));
                let counts = outcome.is_judged() && (duration_ns > 0 || matches!(outcome, Outcome::Timeout | Outcome::Overloaded));
                match outcome {
                    Outcome::Success | Outcome::Failure if counts => { plain.samples += 1; plain.total_ns += duration_ns }
                    _ if counts => plain.drops += 1,
                    _ => {}
                }
                if counts { plain.peak = plain.peak.max(inflight) }
            }
            prop_assert_eq!(sum_of(&words, index), plain);
        }
    }
}
