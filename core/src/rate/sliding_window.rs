//! The sliding window, exact in buckets: at most `limit` in any `buckets` consecutive buckets, of `per / buckets` each, aligned to
//! multiples of their width since the clock's zero. So any stretch of time no longer than `per` less one bucket admits at most the limit; one of
//! `per` touches a bucket more, and may hold what two windows share out between its ends. More buckets: finer.
//!
//! The decision word: index of the current bucket | total of the earlier live buckets | count of the current | generation (4 bits).
//! An admission is one compare-and-swap on it alone. When time has come to another bucket, whoever takes next moves the word on:
//! 1. writes the finished bucket's count into its bucket word;
//! 2. sums the live bucket words;
//! 3. swaps the decision word for one of the new index. Failing means that something was admitted, or another moved it: from the start.
//!
//! **Why no count is lost.** Bucket words change only in step 1: read the bucket word, see that the decision word still is the one of step 0,
//! swap. A mover that stalls before its swap and comes to it when the decision word has gone on finds the bucket word changed by
//! whoever moved it, as none moves it on before the count stands there; so it fails. It never puts a smaller count of the same bucket over
//! a larger one either. A bucket word says of which bucket and generation it is, and is passed over as another.
//! So under any interleaving the counts of any window never exceed the limit. What is given back while a bucket ends may stay counted.
//!
//! The decision word's counts have as many bits as the limit needs, at most 22, its index what is left, at least 16, in a circle; a bucket word: index (38 bits or
//! more) | count | generation. A reading that is older than the word's bucket counts in the word's. An idleness of half the circle (2¹⁵
//! buckets at the largest limits, 2³⁵ at 1000) looks the same as time that went back; [`SlidingWindow::rebase`] mends both, and either costs at most
//! one window.

use super::common::{GENERATION_BITS, GENERATION_MASK, Refusal, owns, per_mille, saturating, untouched};
use super::counted::Counted;
use super::grid::Grid;
use crate::word::{Word, update};

/// A rule's numbers, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    counted: Counted,
    buckets: u64,
}

/// A decision word seen from a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// The bucket that counts now.
    index: u64,
    /// The one that the word counts in, if that is another, with its count.
    finished: Option<(u64, u64)>,
    /// Of the bucket that counts now.
    current: u64,
    /// Where the word tells it.
    earlier: Option<u64>,
}

impl SlidingWindow {
    /// The largest limit: 2²² - 1.
    pub const MAX_LIMIT: u64 = (1 << 22) - 1;
    /// How many buckets when nothing is said.
    pub const DEFAULT_BUCKETS: u64 = 10;

    /// At most `limit` in any `per_ns`, in 2 to 60 `buckets` (their width is rounded up to nanoseconds). None for a limit of 0 or above
    /// [`SlidingWindow::MAX_LIMIT`], another number of buckets, no `per_ns`, or a generation that is none of 1 to 15.
    pub fn new(limit: u64, per_ns: u64, buckets: u64, generation: u64) -> Option<SlidingWindow> {
        let grid = Grid::new(per_ns.div_ceil(buckets.max(1)))?;
        SlidingWindow::with(Counted::new(limit, grid, 2, 16, generation)?, buckets)
    }

    #[inline]
    fn with(counted: Counted, buckets: u64) -> Option<SlidingWindow> {
        (2..=60).contains(&buckets).then_some(SlidingWindow { counted, buckets })
    }

    /// Which change of the rule these numbers are of.
    pub fn generation(&self) -> u64 {
        self.counted.generation
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        let [a, b, c, d] = self.counted.words();
        [a, b, c, d, self.buckets, 0, 0, 0]
    }

    /// Reads [`SlidingWindow::words`].
    #[inline]
    pub fn of([a, b, c, d, buckets, ..]: [u64; 8]) -> Option<SlidingWindow> {
        SlidingWindow::with(Counted::of([a, b, c, d], 2, 16)?, buckets)
    }

    /// How many bucket words it needs.
    pub fn buckets(&self) -> usize {
        self.buckets as usize
    }

    /// The decision word after taking `cost` at `now`, and the wait, which is none. It changes no bucket word: this tells what
    /// [`SlidingWindow::take`] would do.
    pub fn step<W: Word>(&self, seen: u64, buckets: &[W], now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        self.admit(self.here(seen, buckets, now)?, seen, buckets, now, cost)
    }

    /// The same where the word is of the bucket of `now` and there is room, as it mostly is: then it does not need the others.
    /// [`Refusal::Stale`]: it is not so.
    #[inline]
    pub fn step_at_once(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        let index = self.counted.grid.place(now).index;
        let is_here = untouched(seen, self.counted.generation) == Ok(false);
        let [current, earlier] = self.counted.layout.counts(seen);
        let fits = cost <= self.counted.limit && current + earlier + cost <= self.counted.limit;
        if !is_here || self.counted.layout.behind(seen, index) > 0 || !fits {
            return Err(Refusal::Stale);
        }
        Ok((seen + (cost << GENERATION_BITS), 0))
    }

    /// Takes `cost` at `now` (ns); the wait is none. With fewer bucket words than [`SlidingWindow::buckets`] it refuses all. **Hot**: the first
    /// call in a bucket sums the others.
    pub fn take<W: Word>(&self, word: &W, buckets: &[W], now: u64, cost: u64) -> Result<u64, Refusal> {
        let mut seen = word.get();
        loop {
            if !self.seal(word, buckets, seen, now)? {
                seen = word.get();
                continue;
            }
            let here = self.here(seen, buckets, now)?;
            let answer = self.admit(here, seen, buckets, now, cost);
            // A refusal moves the word on too, or each one would sum again.
            let next = answer.map_or(here, |(next, _)| next);
            let swapped = if next == seen { Ok(()) } else { word.swap_if(seen, next) };
            match swapped {
                Ok(()) => return answer.map(|(_, wait)| wait),
                Err(other) => seen = other,
            }
        }
    }

    /// Gives `cost` back that was taken at `at` and not used, if its bucket counts still: a finished one stays as it is.
    pub fn give_back<W: Word>(&self, word: &W, at: u64, cost: u64) {
        let index = self.counted.grid.place(at).index;
        let _: Result<(), Refusal> = update(word, |seen| {
            if untouched(seen, self.counted.generation)? || self.counted.layout.behind(seen, index) != 0 {
                return Ok((seen, ()));
            }
            let [current, earlier] = self.counted.layout.counts(seen);
            Ok((self.word(index, current.saturating_sub(cost), earlier), ()))
        });
    }

    /// The used share of the window, in thousandths.
    pub fn pressure<W: Word>(&self, seen: u64, buckets: &[W], now: u64) -> u32 {
        self.total(seen, buckets, now).map_or(0, |total| per_mille(total, self.counted.limit))
    }

    /// The decision word for these numbers that counts what is live in `seen` under `old` as taken now. Words of any other generation stay as they
    /// are. The bucket words stay where they are: they are of the old generation, and passed over.
    pub fn rescale<W: Word>(&self, old: &SlidingWindow, seen: u64, buckets: &[W], now: u64) -> u64 {
        match (untouched(seen, old.counted.generation), old.total(seen, buckets, now)) {
            (Ok(false), Ok(total)) => self.word(self.counted.grid.place(now).index, total.min(self.counted.limit), 0),
            _ => seen,
        }
    }

    /// The limit, which is the largest cost.
    pub fn limit(&self) -> u64 {
        self.counted.limit
    }

    /// Whether a decision word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        owns(word, self.counted.generation)
    }

    /// Brings a decision word that lies ahead of the present, because time went back, into the bucket of the present with all that it has counted. `clock`
    /// is read after the word, or a late thread would open a bucket again that is over.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        self.counted.rebase(word, clock, |[current, earlier]| [(current + earlier).min(self.counted.limit), 0]);
    }

    /// All that counts at `now`.
    fn total<W: Word>(&self, seen: u64, buckets: &[W], now: u64) -> Result<u64, Refusal> {
        let [current, earlier] = self.counted.layout.counts(self.here(seen, buckets, now)?);
        Ok(current + earlier)
    }

    /// The word brought to the bucket of `now`.
    fn here<W: Word>(&self, word: u64, buckets: &[W], now: u64) -> Result<u64, Refusal> {
        let seen = self.seen(word, now)?;
        let earlier = seen.earlier.unwrap_or_else(|| {
            let live = (1..self.buckets).filter_map(|back| seen.index.checked_sub(back));
            live.map(|index| self.counted(&seen, buckets, index)).sum::<u64>().min(self.counted.layout.most())
        });
        Ok(self.word(seen.index, seen.current, earlier))
    }

    /// Takes from a word that has been brought to its bucket, from `seen`.
    fn admit<W: Word>(&self, here: u64, seen: u64, buckets: &[W], now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        let [current, earlier] = self.counted.layout.counts(here);
        if cost > self.counted.limit || buckets.len() < self.buckets() {
            return Err(Refusal::Never);
        }
        if current + earlier + cost > self.counted.limit && cost > 0 {
            let over = current + earlier + cost - self.counted.limit;
            return Err(Refusal::Empty(self.wait(seen, buckets, now, over)));
        }
        // Its index is cut already, and stays as it is.
        Ok((here + (cost << GENERATION_BITS), 0))
    }

    /// Until so much has gone out of the window.
    #[cold]
    fn wait<W: Word>(&self, word: u64, buckets: &[W], now: u64, over: u64) -> u64 {
        let Ok(seen) = self.seen(word, now) else { return 0 };
        let (mut gone, mut last) = (0, seen.index);
        for back in (1..self.buckets).rev() {
            let Some(index) = seen.index.checked_sub(back) else { continue };
            gone += self.counted(&seen, buckets, index);
            if gone >= over {
                last = index;
                break;
            }
        }
        let out = (u128::from(last) + u128::from(self.buckets)) * u128::from(self.counted.grid.width);
        saturating(out.saturating_sub(u128::from(now)))
    }

    /// Writes the count of a finished bucket into its word; false: the decision word is another by now.
    fn seal<W: Word>(&self, word: &W, buckets: &[W], seen: u64, now: u64) -> Result<bool, Refusal> {
        let at = self.seen(seen, now)?;
        let Some((index, count)) = at.finished.filter(|&(index, count)| count > 0 && at.index - index < self.buckets)
        else {
            return Ok(true);
        };
        let Some(bucket) = self.bucket(buckets, index) else { return Ok(true) };
        loop {
            let there = bucket.get();
            if self.count_of(there, index).is_some_and(|counted| counted >= count) {
                return Ok(true);
            }
            if word.get() != seen {
                return Ok(false);
            }
            if bucket.swap_if(there, self.bucket_word(index, count)).is_ok() {
                return Ok(true);
            }
        }
    }

    fn seen(&self, word: u64, now: u64) -> Result<Seen, Refusal> {
        let index = self.counted.grid.place(now).index;
        if untouched(word, self.counted.generation)? {
            return Ok(Seen { index, finished: None, current: 0, earlier: Some(0) });
        }
        let [current, earlier] = self.counted.layout.counts(word);
        let behind = self.counted.layout.behind(word, index);
        if behind <= 0 {
            let index = index.wrapping_add(behind.unsigned_abs());
            return Ok(Seen { index, finished: None, current, earlier: Some(earlier) });
        }
        let finished = index.checked_sub(behind as u64).map(|index| (index, current));
        Ok(Seen { index, finished, current: 0, earlier: None })
    }

    /// What bucket `index` holds, also if it is finished and its word does not say so yet.
    fn counted<W: Word>(&self, seen: &Seen, buckets: &[W], index: u64) -> u64 {
        let finished = seen.finished.filter(|finished| finished.0 == index).map_or(0, |finished| finished.1);
        let told = self.bucket(buckets, index).and_then(|bucket| self.count_of(bucket.get(), index));
        told.unwrap_or(0).max(finished)
    }

    fn bucket<'a, W: Word>(&self, buckets: &'a [W], index: u64) -> Option<&'a W> {
        buckets.get((index % self.buckets) as usize)
    }

    fn bucket_word(&self, index: u64, count: u64) -> u64 {
        index << (GENERATION_BITS + self.counted.layout.count_bits) | count << GENERATION_BITS | self.counted.generation
    }

    /// A bucket word's count, if it is of this bucket.
    fn count_of(&self, word: u64, index: u64) -> Option<u64> {
        let counts = self.counted.layout.most() << GENERATION_BITS;
        let own = word & GENERATION_MASK == self.counted.generation && word & !counts == self.bucket_word(index, 0);
        own.then_some((word & counts) >> GENERATION_BITS)
    }

    fn word(&self, index: u64, current: u64, earlier: u64) -> u64 {
        self.counted.word(index, [current, earlier])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::storm;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    /// A window in ten buckets of 100 ns, with its words.
    struct Window {
        rule: SlidingWindow,
        word: AtomicU64,
        buckets: Vec<AtomicU64>,
    }

    impl Window {
        fn new(limit: u64) -> Window {
            let rule = SlidingWindow::new(limit, 1000, 10, 1).unwrap();
            Window { rule, word: AtomicU64::new(0), buckets: (0..10).map(|_| AtomicU64::new(0)).collect() }
        }

        fn take(&self, now: u64, cost: u64) -> Result<u64, Refusal> {
            self.rule.take(&self.word, &self.buckets, now, cost)
        }

        fn pressure(&self, now: u64) -> u32 {
            self.rule.pressure(self.word.load(Relaxed), &self.buckets, now)
        }
    }

    #[test]
    fn what_leaves_the_window_makes_room() {
        let window = Window::new(5);
        assert_eq!(window.take(50, 2), Ok(0));
        assert_eq!(window.take(350, 3), Ok(0));
        assert_eq!(window.take(350, 1), Err(Refusal::Empty(650)));
        assert_eq!(window.take(999, 1), Err(Refusal::Empty(1)));
        assert_eq!(window.pressure(999), 1000);
        assert_eq!(window.pressure(1000), 600);
        assert_eq!(window.take(1000, 3), Err(Refusal::Empty(300)));
        assert_eq!(window.take(1000, 2), Ok(0));
        assert_eq!(window.take(1000, 1), Err(Refusal::Empty(300)));
        assert_eq!(window.take(1000, 5), Err(Refusal::Empty(1000)));
        assert_eq!(window.take(1000, 6), Err(Refusal::Never));
        assert_eq!(window.take(1000, 0), Ok(0));
        assert_eq!(window.take(1_000_000, 5), Ok(0));
    }

    #[test]
    fn limits_and_times_at_their_ends() {
        for limit in [0, SlidingWindow::MAX_LIMIT + 1, 1 << 63, u64::MAX] {
            assert_eq!(SlidingWindow::new(limit, 1000, 10, 1), None);
        }
        for (per, buckets, generation) in [(0, 10, 1), (1000, 1, 1), (1000, 61, 1), (1000, 10, 0), (1000, 10, 16)] {
            assert_eq!(SlidingWindow::new(1, per, buckets, generation), None);
        }
        let words: Vec<_> = (0..60).map(|_| AtomicU64::new(0)).collect();
        for (limit, buckets) in [(1, 2), (SlidingWindow::MAX_LIMIT, 60)] {
            for (per, now) in [(1, u64::MAX), (1000, 0), (1000, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
                let (rule, word) = (SlidingWindow::new(limit, per, buckets, 15).unwrap(), AtomicU64::new(0));
                assert_eq!(rule.take(&word, &words, now, limit), Ok(0));
                assert!(matches!(rule.take(&word, &words, now, 1), Err(Refusal::Empty(_))));
                assert_eq!(rule.take(&word, &words, now, u64::MAX), Err(Refusal::Never));
                assert_eq!(SlidingWindow::of(rule.words()), Some(rule));
            }
        }
        let rule = SlidingWindow::new(1, 1000, 10, 1).unwrap();
        assert_eq!(rule.take(&AtomicU64::new(0), &words[..9], 0, 1), Err(Refusal::Never), "too few words");
    }

    #[test]
    fn time_that_goes_back_costs_at_most_a_window() {
        let window = Window::new(3);
        for now in [3_599_900, 3_600_000, 3_600_100] {
            window.take(now, 1).unwrap();
        }
        assert!(window.take(100, 1).is_err());
        window.rule.rebase(&window.word, || 100);
        assert_eq!(window.take(100, 1), Err(Refusal::Empty(1000)));
        for now in 110..120 {
            assert_eq!(window.take(now * 10, 1).is_ok(), now < 113, "the words of later buckets are passed over");
        }
        window.rule.rebase(&window.word, || 1200);
        assert!(window.take(1200, 1).is_err(), "nothing to rebase");
    }

    #[test]
    fn gifts_go_to_the_bucket_that_counts_still() {
        let window = Window::new(3);
        window.take(10, 3).unwrap();
        window.rule.give_back(&window.word, 20, 1);
        assert_eq!(window.take(150, 1), Ok(0));
        window.rule.give_back(&window.word, 20, 1);
        assert!(window.take(150, 1).is_err(), "a finished bucket stays as it is");
        window.rule.give_back(&window.word, 150, 9);
        assert_eq!(window.take(150, 1), Ok(0));
        assert!(window.take(150, 1).is_err());
    }

    #[test]
    fn a_changed_rule_keeps_the_count() {
        let window = Window::new(10);
        window.take(50, 2).unwrap();
        window.take(150, 3).unwrap();
        let new = SlidingWindow::new(6, 400, 2, 2).unwrap();
        let take = |now, cost| new.take(&window.word, &window.buckets, now, cost);
        assert_eq!(take(1010, 1), Err(Refusal::Stale));
        let seen = window.word.load(Relaxed);
        window.word.store(new.rescale(&window.rule, seen, &window.buckets, 1010), Relaxed);
        assert_eq!(window.take(1010, 1), Err(Refusal::Stale));
        assert_eq!(take(1010, 3), Ok(0), "three are live, the first two are not");
        assert_eq!(take(1200, 1), Err(Refusal::Empty(200)));
        assert_eq!(take(1400, 6), Ok(0));
        let seen = window.word.load(Relaxed);
        assert!(new.owns(seen) && !window.rule.owns(seen) && new.owns(0));
    }

    #[test]
    fn a_storm_admits_the_models_count() {
        let window = Window::new(1000);
        window.take(90, 300).unwrap();
        window.take(500, 200).unwrap();
        assert_eq!(storm::still(1000, |now, cost| window.take(now, cost).is_ok()), 800, "the 300 are gone");
        // Each bucket's length sees 100 offers, and each window 1000: all pass but those that come late, into a full window.
        let window = Window::new(200);
        let admitted: u64 = storm::running(0, 1, |now, cost| window.take(now, cost).is_ok())
            .iter()
            .map(|&(admitted, _)| admitted)
            .sum();
        let windows = storm::OFFERS / 1000;
        assert!(admitted <= 200 * (windows + 1) && admitted >= 200 * (windows - 1), "{admitted}");
    }

    #[test]
    fn no_window_of_a_storm_exceeds_the_limit() {
        // Time moves on by a bucket only when all threads have come to its end, so that each knows in which bucket it was counted.
        let window = Window::new(50);
        let counts: Vec<_> = (0..200).map(|_| AtomicU64::new(0)).collect();
        let turn = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for (index, count) in counts.iter().enumerate() {
                        turn.wait();
                        let admitted = (0..9).filter(|_| window.take(index as u64 * 100, 1).is_ok()).count();
                        count.fetch_add(admitted as u64, Relaxed);
                    }
                });
            }
        });
        let counts: Vec<_> = counts.into_iter().map(AtomicU64::into_inner).collect();
        assert_eq!(counts[..10], [36, 14, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(counts.windows(10).all(|window| window.iter().sum::<u64>() == 50), "{counts:?}");
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_window(limit in 1u64..20, buckets in 2u64..=60, calls in prop::collection::vec((0u64..40, 0u64..25, 0u8..6), 1..300)) {
            let rule = SlidingWindow::new(limit, buckets * 10, buckets, 3).unwrap();
            // Of other rules, and other times.
            let words: Vec<_> = (0..buckets).map(|index| AtomicU64::new(index.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
            let (word, mut now, mut admitted) = (AtomicU64::new(0), 1_000_000, std::collections::BTreeMap::new());
            for (pause, cost, kind) in calls {
                now += pause;
                let index = now / 10;
                if kind == 0 {
                    let count: &mut u64 = admitted.entry(index).or_default();
                    *count = count.saturating_sub(cost);
                    rule.give_back(&word, now, cost);
                    // One that nobody has taken from since is not of this bucket yet.
                    continue;
                }
                let sum: u64 = admitted.range(index + 1 - buckets..=index).map(|(_, count)| count).sum();
                let seen = word.load(Relaxed);
                let expected = rule.step(seen, &words, now, cost).map(|(_, wait)| wait);
                match rule.take(&word, &words, now, cost) {
                    Ok(0) => {
                        prop_assert!(cost == 0 || sum + cost <= limit);
                        *admitted.entry(index).or_default() += cost;
                        prop_assert_eq!(expected, Ok(0));
                    }
                    Err(Refusal::Empty(ns)) => {
                        prop_assert!(cost > 0 && sum + cost > limit);
                        let seen = word.load(Relaxed);
                        prop_assert!(rule.step(seen, &words, now + ns, cost).is_ok());
                        prop_assert!(rule.step(seen, &words, now + ns - 1, cost).is_err());
                        prop_assert_eq!(expected, Err(Refusal::Empty(ns)));
                    }
                    refusal => prop_assert!(refusal == Err(Refusal::Never) && cost > limit),
                }
            }
        }
    }
}
