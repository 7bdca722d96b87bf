//! The count-based window: the last N calls of a generation, in words that all callers share.
//!
//! ```text
//! words: position | sums | place 0 | place 1 | ... | place N-1
//! ```
//!
//! A call that ended takes a position (one atomic add), puts how it ended into the place of that position, and adds to the
//! sums what it put there less what it replaced. A place remembers the lap of its call, so that a caller who was held
//! up for a whole lap leaves what came after it.
//!
//! **Generations.** Sums and places carry a tag: the breaker's generation (10 bits) and a count (6 bits, modulo 63) of the
//! times that the sums began anew. Who finds sums of another generation looks at the breaker; if that is in the caller's
//! generation, the sums begin anew under the next tag, and what stands in the places belongs to them no more: so a window
//! empties in one step, however long it is. Each change is made only if, after what it changes was read, the
//! tag was still the caller's: a call of an older generation changes nothing. (A tag comes again after 64 512 generations that
//! were counted in; a place that none of them reached would then count as if it were new.)
//!
//! **Error.** Once those that are counting have ended, places and sums are exact: they hold the N calls with the highest
//! positions, or all if there were fewer. While T threads are between their three operations, each of the sums differs
//! by at most T from that of the N calls that took a position last; but a full window counts as full
//! ([`LastCalls::sum`]). A process that dies in between leaves an error of one until the generation ends;
//! [`LastCalls::recount`] tells the truth.
//!
//! **Widths.** The sums are kept modulo 2¹⁶ around a bias, so that up to 20 000 threads may be ahead or behind.

use super::state;
use super::threshold::Sum;
use super::window::{BAD, SLOW};
use crate::word::{Word, update};

/// The longest window.
pub const MAX_CALLS: usize = 10_000;
/// Words beside the places.
pub const HEAD_WORDS: usize = 2;

/// Keeps each sum above 0 while threads have taken off what others have yet to add.
const BIAS: u64 = 20_000 << 32 | 20_000 << 16 | 20_000;
const TAG_AT: u32 = 48;
const BEGINNINGS: u64 = 63;
const LAP_MASK: u64 = (1 << 45) - 1;
/// In a place: there is a call.
const PRESENT: u64 = 1;

/// The window in the words that it lives in; all of them 0 is an empty window.
pub struct LastCalls<'a, W> {
    position: &'a W,
    sums: &'a W,
    places: &'a [W],
}

impl<'a, W: Word> LastCalls<'a, W> {
    /// The window of the last `words.len() - 2` calls. None where that is not 1 to [`MAX_CALLS`].
    pub fn new(words: &'a [W]) -> Option<Self> {
        let [position, sums, places @ ..] = words else { return None };
        (1..=MAX_CALLS).contains(&places.len()).then_some(LastCalls { position, sums, places })
    }

    /// Counts a call of `generation` that ended: [`GOOD`](super::window::GOOD), [`BAD`], [`SLOW`] or the sum of the two. False
    /// when `breaker`, the state word, is in another generation by now. **Hot.**
    #[inline(always)]
    pub fn count(&self, breaker: &W, generation: u64, ending: u64) -> bool {
        let Some(tag) = self.tag_of(breaker, generation) else { return false };
        let (position, count) = (self.position.add(1), self.places.len() as u64);
        let Some(place) = self.places.get((position % count) as usize) else { return false };
        let call_of = |lap: u64| tag << TAG_AT | (lap & LAP_MASK) << 3 | ending_bits(ending) | PRESENT;
        let (lap, seen) = (position / count, place.get());
        // Most calls end as the one did that they replace: then the sums stay as they are, whoever begins them anew.
        if seen == call_of(lap.wrapping_sub(1)) && place.swap_if(seen, call_of(lap)).is_ok() {
            return true;
        }
        self.replace(place, call_of(lap))
    }

    /// Puts a call into its place, and adds what that changes to the sums.
    #[inline(never)]
    fn replace(&self, place: &W, new: u64) -> bool {
        match self.put(place, new) {
            Put::Replaced(old) => self.add(new >> TAG_AT, packed(new).wrapping_sub(old)),
            Put::Overtaken => true,
            Put::Ended => false,
        }
    }

    /// What the window holds of `generation`. Once so many calls of it have taken positions as there are places, it holds as
    /// many, also while threads are between their operations or died there: no number of calls that a verdict needs is then
    /// missed because of them.
    pub fn sum(&self, generation: u64) -> Sum {
        let sums = self.sums.get();
        let tag = tag_of(sums);
        if generation_of(tag) != generation & 0x3FF {
            return Sum::default();
        }
        let sum = sum_of(sums);
        if self.is_full(tag) { Sum { calls: sum.calls.max(self.places.len() as u64), ..sum } } else { sum }
    }

    /// Whether the place that is to be replaced next holds a call of the lap before, so that all places had their turn.
    fn is_full(&self, tag: u64) -> bool {
        let (position, count) = (self.position.get(), self.places.len() as u64);
        let lap_before = (position / count).wrapping_sub(1) & LAP_MASK;
        let next = self.places.get((position % count) as usize).map_or(0, W::get);
        next >> TAG_AT == tag && next & PRESENT != 0 && next >> 3 & LAP_MASK == lap_before
    }

    /// The same, counted anew from the places. **Cold.**
    pub fn recount(&self, generation: u64) -> Sum {
        let tag = tag_of(self.sums.get());
        if generation_of(tag) != generation & 0x3FF {
            return Sum::default();
        }
        let present = |place: &W| Some(place.get()).filter(|&word| word >> TAG_AT == tag).map_or(0, packed);
        let total = self.places.iter().map(present).fold(0, u64::wrapping_add);
        sum_of(total)
    }

    /// The tag for calls of this generation. None: it is over.
    #[inline(always)]
    fn tag_of(&self, breaker: &W, generation: u64) -> Option<u64> {
        let tag = tag_of(self.sums.get());
        // After the sums were read: who begins a later generation has seen the breaker in it.
        let stands = generation_of(tag) == generation & 0x3FF && state::is_of(breaker, generation);
        if stands { Some(tag) } else { self.begin(breaker, generation) }
    }

    /// The same, beginning anew where the sums are of another.
    #[cold]
    fn begin(&self, breaker: &W, generation: u64) -> Option<u64> {
        let begun = update(self.sums, |seen| {
            let tag = tag_of(seen);
            if !state::is_of(breaker, generation) {
                return Err(());
            }
            if generation_of(tag) == generation & 0x3FF {
                return Ok((seen, tag));
            }
            let beginning = ((tag & 0x3F) + 1) % BEGINNINGS;
            let next = (generation & 0x3FF) << 6 | beginning;
            Ok((next << TAG_AT, next))
        });
        begun.ok()
    }

    /// Puts a call into its place, unless a later one is there or the generation is over.
    fn put(&self, place: &W, new: u64) -> Put {
        let tag = new >> TAG_AT;
        let put = update(place, |seen| {
            let ours = seen >> TAG_AT == tag && seen & PRESENT != 0;
            if ours && (seen >> 3).wrapping_sub(new >> 3) & LAP_MASK <= LAP_MASK / 2 {
                return Err(Put::Overtaken);
            }
            if tag_of(self.sums.get()) != tag {
                return Err(Put::Ended);
            }
            Ok((new, Put::Replaced(if ours { packed(seen) } else { 0 })))
        });
        put.unwrap_or_else(|reason| reason)
    }

    fn add(&self, tag: u64, difference: u64) -> bool {
        let of_tag = |seen| if tag_of(seen) == tag { Ok((seen.wrapping_add(difference), ())) } else { Err(()) };
        update(self.sums, of_tag).is_ok()
    }
}

enum Put {
    /// What it replaced, as the sums count it.
    Replaced(u64),
    Overtaken,
    Ended,
}

/// A place's call as the sums count it: calls (16 bits) | bad (16) | slow (16).
fn packed(place: u64) -> u64 {
    (place & PRESENT) | (place >> 1 & 1) << 16 | (place >> 2 & 1) << 32
}

/// A place's bits 1 and 2.
fn ending_bits(ending: u64) -> u64 {
    u64::from(ending & BAD != 0) << 1 | u64::from(ending & SLOW != 0) << 2
}

fn sum_of(sums: u64) -> Sum {
    let sums = sums.wrapping_add(BIAS);
    let field = |at: u32| (sums >> at & 0xFFFF).saturating_sub(BIAS & 0xFFFF);
    Sum { calls: field(0), bad: field(16), slow: field(32) }
}

fn tag_of(sums: u64) -> u64 {
    sums.wrapping_add(BIAS) >> TAG_AT
}

fn generation_of(tag: u64) -> u64 {
    tag >> 6 & 0x3FF
}

#[cfg(test)]
mod tests {
    use super::super::window::GOOD;
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    fn words(calls: usize) -> Vec<AtomicU64> {
        (0..calls + HEAD_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn closed(generation: u64) -> AtomicU64 {
        AtomicU64::new(state::word_of(generation))
    }

    /// What the window holds with one call more.
    fn count(window: &LastCalls<'_, AtomicU64>, breaker: &AtomicU64, generation: u64, ending: u64) -> Option<Sum> {
        window.count(breaker, generation, ending).then(|| window.sum(generation))
    }

    /// A call that took its position and went no further.
    #[test]
    fn a_full_window_is_full_though_a_thread_died_half_way() {
        let (words, breaker) =
            ((0..6).map(|_| AtomicU64::new(0)).collect::<Vec<_>>(), AtomicU64::new(state::word_of(3)));
        let window = LastCalls::new(&words).unwrap();
        window.count(&breaker, 3, GOOD);
        words[0].fetch_add(1, Relaxed);
        (0..2).for_each(|_| _ = window.count(&breaker, 3, BAD));
        assert_eq!(window.sum(3), Sum { calls: 4, bad: 2, slow: 0 }, "four have taken positions");
        window.count(&breaker, 3, BAD);
        window.count(&breaker, 3, BAD);
        assert_eq!(window.sum(3), Sum { calls: 4, bad: 4, slow: 0 });
        // One that put its call in and added nothing.
        words[1].fetch_sub(1, Relaxed);
        assert_eq!((window.sum(3).calls, window.recount(3).calls), (4, 4));
        assert_eq!(window.sum(4), Sum::default());
    }

    #[test]
    fn has_one_to_ten_thousand_places() {
        for (calls, possible) in [(0, false), (1, true), (MAX_CALLS, true), (MAX_CALLS + 1, false)] {
            assert_eq!(LastCalls::new(&words(calls)).is_some(), possible);
        }
        assert!(LastCalls::<AtomicU64>::new(&[]).is_none());
    }

    #[test]
    fn holds_the_last_calls() {
        let (words, breaker) = (words(3), closed(0));
        let window = LastCalls::new(&words).unwrap();
        let sums: Vec<_> = [BAD, SLOW, BAD + SLOW, GOOD, GOOD, GOOD]
            .into_iter()
            .map(|ending| count(&window, &breaker, 0, ending).unwrap())
            .map(|sum| (sum.calls, sum.bad, sum.slow))
            .collect();
        assert_eq!(sums, [(1, 1, 0), (2, 1, 1), (3, 2, 2), (3, 1, 2), (3, 1, 1), (3, 0, 0)]);
    }

    #[test]
    fn a_call_of_another_generation_than_the_breakers_changes_nothing() {
        let (words, breaker) = (words(4), closed(6));
        let window = LastCalls::new(&words).unwrap();
        assert!(window.count(&breaker, 6, BAD));
        assert!(!window.count(&breaker, 5, BAD));
        assert_eq!(window.sum(6), Sum { calls: 1, bad: 1, slow: 0 });
        assert_eq!(window.sum(5), Sum::default());
        let later = closed(7);
        assert_eq!(count(&window, &later, 7, GOOD), Some(Sum { calls: 1, bad: 0, slow: 0 }), "empty, in one step");
        assert_eq!((window.sum(6), window.recount(6)), (Sum::default(), Sum::default()));
    }

    #[test]
    fn who_was_held_up_for_a_lap_leaves_what_came_after() {
        let (words, breaker) = (words(2), closed(0));
        let window = LastCalls::new(&words).unwrap();
        for _ in 0..4 {
            assert!(window.count(&breaker, 0, GOOD));
        }
        let held_up = (words[2].load(Relaxed) - (1 << 3)) | 2;
        assert!(matches!(window.put(&words[2], held_up), Put::Overtaken));
        assert_eq!(window.recount(0), Sum { calls: 2, bad: 0, slow: 0 });
    }

    #[test]
    fn generations_go_round_and_leave_nothing_behind() {
        let words = words(100);
        let window = LastCalls::new(&words).unwrap();
        for change in 0..5000u64 {
            let generation = change * 3 % 1024;
            let sum = count(&window, &closed(generation), generation, BAD).unwrap();
            assert_eq!(sum, Sum { calls: 1, bad: 1, slow: 0 }, "change {change}");
        }
    }

    #[test]
    fn positions_and_laps_near_their_end_go_on() {
        let (words, breaker) = (words(1), closed(0));
        let window = LastCalls::new(&words).unwrap();
        words[0].store(LAP_MASK - 1, Relaxed);
        for _ in 0..4 {
            assert_eq!(count(&window, &breaker, 0, BAD), Some(Sum { calls: 1, bad: 1, slow: 0 }));
        }
        words[0].store(u64::MAX, Relaxed);
        assert!(window.count(&breaker, 0, GOOD) && window.count(&breaker, 0, GOOD));
    }

    /// Sums that others have yet to add to are read as 0, not as many.
    #[test]
    fn what_is_taken_off_too_early_is_no_more_than_missing() {
        let words = words(2);
        words[1].store(0u64.wrapping_sub(1 << 32 | 1 << 16), Relaxed);
        let window = LastCalls::new(&words).unwrap();
        assert_eq!(window.sum(0), Sum::default());
        assert!(window.add(0, 2 << 32 | 1 << 16 | 1));
        assert_eq!(window.sum(0), (Sum { calls: 1, bad: 0, slow: 1 }));
    }

    #[test]
    fn a_storm_is_summed_exactly_and_meanwhile_within_the_bound() {
        const THREADS: u64 = 4;
        let (words, breaker) = (words(64), closed(9));
        let window = LastCalls::new(&words).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (window, breaker) = (&window, &breaker);
                scope.spawn(move || {
                    for call in 0..10_000 {
                        // Every other call of each thread is bad, so of the last 64 at most these are:
                        let ending = if call % 2 == thread % 2 { BAD } else { SLOW };
                        let sum = count(window, breaker, 9, ending).unwrap();
                        assert!(sum.calls <= 64 + THREADS);
                        assert!((sum.bad + sum.slow).abs_diff(sum.calls) <= THREADS);
                    }
                });
            }
        });
        assert_eq!(window.sum(9), window.recount(9));
        assert_eq!((window.sum(9).calls, window.sum(9).bad + window.sum(9).slow), (64, 64));
        for place in &words[HEAD_WORDS..] {
            assert_eq!(place.load(Relaxed) >> 3 & LAP_MASK, THREADS * 10_000 / 64 - 1, "the calls of the last lap");
        }
    }

    #[test]
    fn a_storm_over_changing_generations_ends_exact() {
        let (words, breaker) = (words(16), closed(0));
        let window = LastCalls::new(&words).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for call in 0..10_000u64 {
                        let generation = state::generation_of(breaker.load(Acquire));
                        window.count(&breaker, generation, if call % 3 == 0 { BAD } else { GOOD });
                        if call % 50 == 0 {
                            state::reset(&breaker, 0);
                        }
                    }
                });
            }
        });
        let generation = state::generation_of(breaker.load(Acquire));
        assert_eq!(window.sum(generation), window.recount(generation));
        assert!(window.sum(generation).calls <= 16);
    }

    proptest! {
        #[test]
        fn agrees_with_a_queue(calls in 1usize..20, steps in prop::collection::vec((0u64..4, 0u8..15), 1..300)) {
            let words = words(calls);
            let window = LastCalls::new(&words).unwrap();
            let (mut generation, mut queue) = (1010, VecDeque::new());
            for (ending, change) in steps {
                if change == 0 {
                    generation += 1;
                    queue.clear();
                }
                let (bad, slow) = (ending & 1, ending >> 1);
                let sum = count(&window, &closed(generation), generation & 0x3FF, bad * BAD + slow * SLOW);
                queue.push_back((bad, slow));
                if queue.len() > calls { queue.pop_front(); }
                let (bad, slow) = (queue.iter().map(|call| call.0).sum(), queue.iter().map(|call| call.1).sum());
                let model = Sum { calls: queue.len() as u64, bad, slow };
                prop_assert_eq!(sum, Some(model));
                prop_assert_eq!((window.sum(generation), window.recount(generation)), (model, model));
            }
        }
    }
}
