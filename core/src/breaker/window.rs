//! The breaker's sliding window: ten buckets in each thread slot, written by plain stores, summed when a
//! verdict is due.
//!
//! A bucket is two words: tag (32 bits) | calls (32 bits), and bad calls (32 bits) | spare. The tag holds the breaker's generation
//! and the bucket's absolute index, so that a bucket of another time or generation is passed over.
//!
//! The window reaches back from nine to ten tenths of its length. A sum may miss the calls that end on other threads at the
//! same moment, one a thread: a verdict can come that many calls late, never early, and an opening happens
//! once, as it is a change of the state word. On the lane that threads beyond the slots share, calls that end
//! while a bucket turns may also be lost.

use super::state;
use crate::slot::lane::Count;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Buckets of a window.
pub const BUCKETS: usize = 10;
/// Words of a slot's window.
pub const WORDS: usize = 2 * BUCKETS;

/// Where in a window a moment falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    index: u64,
    /// A word of the breaker in the generation that is counted for.
    breaker: u64,
}

/// Calls of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sum {
    /// All that count.
    pub calls: u64,
    /// Of them failures, timeouts and overloads.
    pub bad: u64,
}

/// The multiplier that turns nanoseconds into an absolute bucket index, for a window of so many ns.
pub fn reciprocal(window_ns: u64) -> u64 {
    let width = (window_ns / BUCKETS as u64).max(2);
    (u128::from(u64::MAX) / u128::from(width) + 1) as u64
}

/// The bucket that a thread counted in last: calls that end soon after each other fall into the same one, which
/// saves the division.
pub struct LastBucket {
    place: Cell<Place>,
    tag: Cell<u64>,
    slot: Cell<usize>,
}

impl LastBucket {
    /// A memory of the first bucket of all.
    pub const fn first() -> LastBucket {
        let place = Place { index: 0, breaker: 0 };
        LastBucket { place: Cell::new(place), tag: Cell::new(place.tag()), slot: Cell::new(0) }
    }

    #[cold]
    fn turn(&self, place: Place) {
        self.place.set(place);
        self.tag.set(place.tag());
        self.slot.set(slot(place.index));
    }
}

impl Place {
    /// The place of `now` in windows with this reciprocal, in the generation that a word of the breaker is of.
    #[inline(always)]
    pub fn of(now: u64, reciprocal: u64, breaker: u64) -> Place {
        Place { index: ((u128::from(now) * u128::from(reciprocal)) >> 64) as u64, breaker }
    }

    const fn tag(self) -> u64 {
        tag(self.index, state::generation_of(self.breaker))
    }
}

/// The bucket's first word in the window.
fn slot(index: u64) -> usize {
    (index % BUCKETS as u64) as usize * 2
}

/// Generation (10 bits) | index (21 bits) | 1, so that no tag is 0.
const fn tag(index: u64, generation: u64) -> u64 {
    (generation & 0x3FF) << 22 | (index & 0x1F_FFFF) << 1 | 1
}

/// Counts one call that ended, at words `base`.. of the run.
#[inline(always)]
pub fn count<'a>(run: impl Count<'a>, last: &LastBucket, base: usize, place: Place, bad: bool) {
    if last.place.get() != place {
        last.turn(place);
    }
    let at = base + last.slot.get();
    if run.word(at).load(Relaxed) >> 32 != last.tag.get() {
        turn(run, at, last.tag.get());
    }
    run.add(at, 1);
    if bad {
        run.add(at + 1, 1 << 32);
    }
}

#[cold]
fn turn<'a>(run: impl Count<'a>, at: usize, tag: u64) {
    run.word(at + 1).store(0, Relaxed);
    run.word(at).store(tag << 32, Release);
}

/// Adds what one slot's window holds at `place`.
pub fn add_up(window: &[AtomicU64], place: Place, sum: &mut Sum) {
    for back in 0..BUCKETS as u64 {
        let Some(index) = place.index.checked_sub(back) else { break };
        let at = slot(index);
        let head = window[at].load(Acquire);
        // Generation bits of the current tag, index bits of the bucket's own.
        let wanted = place.tag() & !0x3F_FFFF | tag(index, 0);
        if head >> 32 == wanted {
            sum.calls += head & 0xFFFF_FFFF;
            sum.bad += window[at + 1].load(Relaxed) >> 32;
        }
    }
}

/// When a window is worth opening for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Bad share in 32-bit fixed point; 0: the ratio is not looked at.
    pub ratio: u64,
    /// Calls that a verdict needs.
    pub min_calls: u64,
}

/// What a sum means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Good,
    /// Bad enough, but of too few calls: whoever ends next looks again.
    Undecided,
    /// Open.
    Bad,
}

impl Threshold {
    /// Judges a sum.
    pub fn judge(&self, sum: Sum) -> Verdict {
        let bad_enough = self.ratio != 0
            && sum.bad > 0
            && u128::from(sum.bad) << 32 >= u128::from(sum.calls) * u128::from(self.ratio);
        match bad_enough {
            false if sum.calls >= self.min_calls => Verdict::Good,
            false if sum.bad == 0 => Verdict::Good,
            true if sum.calls >= self.min_calls => Verdict::Bad,
            _ => Verdict::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::lane::{PAGE_WORDS, Page, Run};

    const WINDOW: u64 = 10_000_000_000;

    fn place(now: u64, generation: u64) -> Place {
        Place::of(now, reciprocal(WINDOW), state::word_of(generation))
    }

    fn words() -> Page {
        Page([const { AtomicU64::new(0) }; PAGE_WORDS])
    }

    fn sum(words: &Page, at: Place) -> Sum {
        let mut sum = Sum::default();
        add_up(&words.0, at, &mut sum);
        sum
    }

    #[test]
    fn slides() {
        let words = words();
        let (run, last) = (Run::for_test(&words), LastBucket::first());
        for second in 0..10 {
            count(run, &last, 0, place(second * 1_000_000_000, 0), second % 2 == 0);
        }
        assert_eq!(sum(&words, place(9_999_999_999, 0)), Sum { calls: 10, bad: 5 });
        assert_eq!(sum(&words, place(10_000_000_001, 0)), Sum { calls: 9, bad: 4 });
        assert_eq!(sum(&words, place(19_500_000_000, 0)), Sum::default());
        assert_eq!(
            sum(&words, place(5_500_000_000, 0)),
            Sum { calls: 6, bad: 3 },
            "time went back: later buckets do not count"
        );
    }

    #[test]
    fn the_last_bucket_is_left_with_time() {
        let (words, last) = (words(), LastBucket::first());
        for index in [0, 1, 1, 9, 10, 3, 1 << 40, 0] {
            let place = Place { index, breaker: state::word_of(7) };
            count(Run::for_test(&words), &last, 0, place, false);
            assert_eq!((last.slot.get(), last.tag.get()), (slot(index), tag(index, 7)));
        }
    }

    #[test]
    fn another_generation_starts_empty() {
        let words = words();
        let (run, last) = (Run::for_test(&words), LastBucket::first());
        count(run, &last, 0, place(0, 3), true);
        assert_eq!(sum(&words, place(0, 3)).calls, 1);
        assert_eq!(sum(&words, place(0, 4)).calls, 0);
        count(run, &last, 0, place(0, 4), false);
        assert_eq!(sum(&words, place(0, 4)), Sum { calls: 1, bad: 0 });
    }

    #[test]
    fn judges_from_the_minimum_on() {
        let rule = Threshold { ratio: 1 << 31, min_calls: 10 };
        assert_eq!(rule.judge(Sum { calls: 9, bad: 9 }), Verdict::Undecided);
        assert_eq!(rule.judge(Sum { calls: 9, bad: 0 }), Verdict::Good);
        assert_eq!(rule.judge(Sum { calls: 10, bad: 4 }), Verdict::Good);
        assert_eq!(rule.judge(Sum { calls: 10, bad: 5 }), Verdict::Bad);
        assert_eq!(Threshold { ratio: 0, min_calls: 1 }.judge(Sum { calls: 10, bad: 10 }), Verdict::Good);
        let all = Threshold { ratio: 1 << 32, min_calls: 2 };
        assert_eq!(all.judge(Sum { calls: 2, bad: 2 }), Verdict::Bad);
        assert_eq!(all.judge(Sum { calls: 3, bad: 2 }), Verdict::Good);
    }
}
