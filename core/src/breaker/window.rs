//! The breaker's sliding window: ten buckets in each thread slot, written by plain stores, summed when a
//! verdict is due.
//!
//! A bucket is two words: tag (32 bits) | calls (32 bits), and bad calls (32 bits) | slow calls (32 bits). The tag holds the
//! breaker's generation and the bucket's absolute index, so that a bucket of another time or generation is passed over. A bucket
//! that is nearly full (4 294 901 760 calls) is halved in all three, so that shares stay as they are.
//!
//! The window reaches back from nine to ten tenths of its length. A sum may miss the calls that end on other threads at the
//! same moment, one a thread: a verdict can come that many calls late, never early, and an opening happens
//! once, as it is a change of the state word. On the lane that threads beyond the slots share, calls that end
//! while a bucket turns may also be lost.

use super::state;
pub use super::threshold::{Sum, Threshold, Verdict};
use crate::slot::lane::Count;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Buckets of a window.
pub const BUCKETS: usize = 10;
/// Words of a slot's window.
pub const WORDS: usize = 2 * BUCKETS;

/// A call that ended well, and soon enough.
pub const GOOD: u64 = 0;
/// Added for a call that was bad: a failure, a timeout, an overload.
pub const BAD: u64 = 1 << 32;
/// Added for a call that was slow, be it bad or not.
pub const SLOW: u64 = 1;

/// Calls at which a bucket is halved: so far from the tag that threads which share a lane do not reach it.
const FULL: u64 = 0xFFFF_0000;

/// Where in a window a moment falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    index: u64,
    /// A word of the breaker in the generation that is counted for.
    breaker: u64,
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
    /// Its first word without calls.
    head: Cell<u64>,
    slot: Cell<usize>,
}

impl LastBucket {
    /// A memory of the first bucket of all.
    pub const fn first() -> LastBucket {
        let place = Place { index: 0, breaker: 0 };
        LastBucket { place: Cell::new(place), head: Cell::new(place.tag() << 32), slot: Cell::new(0) }
    }

    #[cold]
    fn turn(&self, place: Place) {
        self.place.set(place);
        self.head.set(place.tag() << 32);
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

/// The word of the run in which a good call counts one more, when the window is as it was left and has room.
#[inline(always)]
pub fn good_at<'a>(run: impl Count<'a>, last: &LastBucket, base: usize, place: Place) -> Option<usize> {
    let at = base + last.slot.get();
    let has_room = last.place.get() == place && run.word(at).load(Relaxed).wrapping_sub(last.head.get()) < FULL;
    if has_room { Some(at) } else { None }
}

/// Counts one call that ended, at words `base`.. of the run.
pub fn count<'a>(run: impl Count<'a>, last: &LastBucket, base: usize, place: Place, bad: bool) {
    count_as(run, last, base, place, if bad { BAD } else { GOOD });
}

/// The same of a call that was [`GOOD`], [`BAD`], [`SLOW`] or the sum of the two. **Hot.**
pub fn count_as<'a>(run: impl Count<'a>, last: &LastBucket, base: usize, place: Place, ending: u64) {
    if last.place.get() != place {
        last.turn(place);
    }
    let at = base + last.slot.get();
    // How many calls the bucket holds; a huge number when it is another.
    if run.word(at).load(Relaxed).wrapping_sub(last.head.get()) >= FULL {
        make_room(run, at, last.head.get());
    }
    run.add(at, 1);
    if ending != GOOD {
        run.add(at + 1, ending);
    }
}

/// Makes a bucket the one that begins with `head`, or halves it when it is already.
#[cold]
fn make_room<'a>(run: impl Count<'a>, at: usize, head: u64) {
    let seen = run.word(at).load(Relaxed);
    if seen >> 32 != head >> 32 {
        run.word(at + 1).store(0, Relaxed);
        run.word(at).store(head, Release);
        return;
    }
    let half = head | (seen & 0xFFFF_FFFF) >> 1;
    // Of threads that share the lane, one halves.
    if run.word(at).compare_exchange(seen, half, Release, Relaxed).is_ok() {
        run.change(at + 1, |word| (word >> 33) << 32 | (word & 0xFFFF_FFFF) >> 1);
    }
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
            let ended = window[at + 1].load(Relaxed);
            sum.bad += ended >> 32;
            sum.slow += ended & 0xFFFF_FFFF;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::lane::{PAGE_WORDS, Page, Run};
    use proptest::prelude::*;

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
        assert_eq!(sum(&words, place(9_999_999_999, 0)), Sum { calls: 10, bad: 5, slow: 0 });
        assert_eq!(sum(&words, place(10_000_000_001, 0)), Sum { calls: 9, bad: 4, slow: 0 });
        assert_eq!(sum(&words, place(19_500_000_000, 0)), Sum::default());
        assert_eq!(
            sum(&words, place(5_500_000_000, 0)),
            Sum { calls: 6, bad: 3, slow: 0 },
            "time went back: later buckets do not count"
        );
    }

    #[test]
    fn the_last_bucket_is_left_with_time() {
        let (words, last) = (words(), LastBucket::first());
        for index in [0, 1, 1, 9, 10, 3, 1 << 40, 0] {
            let place = Place { index, breaker: state::word_of(7) };
            count(Run::for_test(&words), &last, 0, place, false);
            assert_eq!((last.slot.get(), last.head.get()), (slot(index), tag(index, 7) << 32));
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
        assert_eq!(sum(&words, place(0, 4)), Sum { calls: 1, ..Sum::default() });
    }

    #[test]
    fn slow_calls_are_counted_beside_bad_ones() {
        let words = words();
        let (run, last) = (Run::for_test(&words), LastBucket::first());
        for ending in [GOOD, BAD, SLOW, BAD + SLOW, SLOW] {
            count_as(run, &last, 0, place(0, 1), ending);
        }
        assert_eq!(sum(&words, place(0, 1)), Sum { calls: 5, bad: 2, slow: 3 });
    }

    #[test]
    fn a_bucket_that_is_full_is_halved() {
        let (words, last, now) = (words(), LastBucket::first(), place(0, 1));
        count(Run::for_test(&words), &last, 0, now, false);
        let most = FULL - 1;
        words.0[0].fetch_add(most - 1, Relaxed);
        let (bad, slow) = (most >> 1, most >> 2);
        words.0[1].store(bad << 32 | slow, Relaxed);
        count_as(Run::for_test(&words), &last, 0, now, BAD + SLOW);
        assert_eq!(sum(&words, now), Sum { calls: FULL, bad: bad + 1, slow: slow + 1 });
        count_as(Run::for_test(&words), &last, 0, now, BAD);
        let halved = Sum { calls: FULL / 2 + 1, bad: bad.div_ceil(2) + 1, slow: slow.div_ceil(2) };
        assert_eq!(sum(&words, now), halved);
    }

    proptest! {
        /// The window holds the calls of the current bucket and the nine before it.
        #[test]
        fn agrees_with_a_list_of_calls(calls in prop::collection::vec((0u64..2_000_000_000, 0u64..4, 0u8..20), 1..200)) {
            let (words, last, width) = (words(), LastBucket::first(), WINDOW / BUCKETS as u64);
            let (mut now, mut generation, mut list) = (0, 0, vec![]);
            for (pause, ending, change) in calls {
                now += pause;
                if change == 0 {
                    (generation, list) = (generation + 1, vec![]);
                }
                let (bad, slow) = (ending & 1, ending >> 1);
                count_as(Run::for_test(&words), &last, 0, place(now, generation), bad * BAD + slow * SLOW);
                list.push((now / width, bad, slow));
                list.retain(|call| call.0 + BUCKETS as u64 > now / width);
                let total = |part: fn(&(u64, u64, u64)) -> u64| list.iter().map(part).sum();
                let model = Sum { calls: list.len() as u64, bad: total(|c| c.1), slow: total(|c| c.2) };
                prop_assert_eq!(sum(&words, place(now, generation)), model);
            }
        }
    }
}
