//! One of the algorithms, as a rule says.

use super::common::Refusal;
use super::fixed_window::FixedWindow;
use super::pacing::Pacing;
use super::reserve::Reserving;
use super::sliding_counter::SlidingCounter;
use super::sliding_window::SlidingWindow;
use super::token_bucket::Bucket;
use super::warm_up::WarmUp;
use crate::word::{Word, update};

/// The numbers of a rate limit of some algorithm. `buckets` are the words that only a sliding window has; for the others it is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// See [`super::token_bucket`].
    TokenBucket(Bucket),
    /// The same whose calls may wait: see [`super::reserve`].
    Reserving(Reserving),
    /// See [`super::pacing`].
    Pacing(Pacing),
    /// See [`super::fixed_window`].
    FixedWindow(FixedWindow),
    /// See [`super::sliding_counter`].
    SlidingCounter(SlidingCounter),
    /// See [`super::sliding_window`].
    SlidingWindow(SlidingWindow),
    /// See [`super::warm_up`].
    WarmUp(WarmUp),
}

/// An algorithm that decides on one word alone, and whose numbers are words.
pub(crate) trait OneWord: Sized {
    /// Which of them it is: never reused.
    const KIND: u64;
    /// So many words are its numbers; the others are 0.
    const WORDS: usize;
    /// Reads them. None for what no rule gives.
    fn of(words: [u64; 8]) -> Option<Self>;
    /// The word after taking `cost` at `now`, and the wait, in units of its own. [`Refusal::Stale`]: it takes more than the word to tell.
    fn step(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal>;
    /// A wait in ns.
    #[inline(always)]
    fn nanos(&self, wait: u64) -> u64 {
        wait
    }
}

macro_rules! one_word {
    ($($(#[$why:meta])* $rate:ident: kind $kind:literal, $words:literal words, $step:ident $(, $nanos:ident)?;)*) => {
        $($(#[$why])*
        impl OneWord for $rate {
            const KIND: u64 = $kind;
            const WORDS: usize = $words;

            #[inline(always)]
            fn of(words: [u64; 8]) -> Option<Self> {
                $rate::of(words)
            }

            #[inline(always)]
            fn step(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
                self.$step(seen, now, cost)
            }

            $(#[inline(always)]
            fn nanos(&self, wait: u64) -> u64 {
                $rate::$nanos(self, wait)
            })?
        })*
    };
}

one_word! {
    Pacing: kind 2, 5 words, step;
    FixedWindow: kind 3, 4 words, step;
    SlidingCounter: kind 4, 4 words, step;
    /// Where its word is of the current bucket and there is room. Else it is [`Refusal::Stale`].
    SlidingWindow: kind 5, 5 words, step_at_once;
    WarmUp: kind 6, 8 words, queue, nanos;
    /// Of a limiter, see [`super::limiter::Limiter::kind`]; there its waits are bounded beside the numbers.
    Reserving: kind 16, 5 words, step_and_wait;
}

/// Why a call that has only so much time left takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWithin {
    /// The limit refuses.
    Refused(Refusal),
    /// It would have to wait for so many ns.
    Wait(u64),
}

impl Rate {
    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        match self {
            Rate::TokenBucket(rate) => rate.words(),
            Rate::Reserving(rate) => rate.words(),
            Rate::Pacing(rate) => rate.words(),
            Rate::FixedWindow(rate) => rate.words(),
            Rate::SlidingCounter(rate) => rate.words(),
            Rate::SlidingWindow(rate) => rate.words(),
            Rate::WarmUp(rate) => rate.words(),
        }
    }

    /// Which algorithm it is, beside the words: never reused.
    pub fn kind(&self) -> u64 {
        match self {
            Rate::TokenBucket(_) => 1,
            Rate::Pacing(_) => Pacing::KIND,
            Rate::FixedWindow(_) => FixedWindow::KIND,
            Rate::SlidingCounter(_) => SlidingCounter::KIND,
            Rate::SlidingWindow(_) => SlidingWindow::KIND,
            Rate::WarmUp(_) => WarmUp::KIND,
            Rate::Reserving(_) => 7,
        }
    }

    /// Reads [`Rate::kind`] and [`Rate::words`]. None for what no rule gives.
    pub fn of(kind: u64, words: [u64; 8]) -> Option<Rate> {
        match kind {
            1 => Bucket::of(words).map(Rate::TokenBucket),
            Pacing::KIND => Pacing::of(words).map(Rate::Pacing),
            FixedWindow::KIND => FixedWindow::of(words).map(Rate::FixedWindow),
            SlidingCounter::KIND => SlidingCounter::of(words).map(Rate::SlidingCounter),
            SlidingWindow::KIND => SlidingWindow::of(words).map(Rate::SlidingWindow),
            WarmUp::KIND => WarmUp::of(words).map(Rate::WarmUp),
            7 => Reserving::of(words).map(Rate::Reserving),
            _ => None,
        }
    }

    /// Which change of the rule these numbers are of: 1 to 15, in a circle.
    pub fn generation(&self) -> u64 {
        match self {
            Rate::TokenBucket(rate) => rate.generation,
            Rate::Reserving(rate) => rate.generation(),
            Rate::Pacing(rate) => rate.generation(),
            Rate::FixedWindow(rate) => rate.generation(),
            Rate::SlidingCounter(rate) => rate.generation(),
            Rate::SlidingWindow(rate) => rate.generation(),
            Rate::WarmUp(rate) => rate.generation(),
        }
    }

    /// How many bucket words it needs.
    pub fn buckets(&self) -> usize {
        if let Rate::SlidingWindow(rate) = self { rate.buckets() } else { 0 }
    }

    /// The largest cost that is not [`Refusal::Never`].
    pub fn most(&self) -> u64 {
        match self {
            Rate::TokenBucket(rate) => rate.tokens_in(rate.tolerance),
            Rate::Reserving(rate) => rate.most(),
            Rate::Pacing(rate) => rate.most(),
            Rate::FixedWindow(rate) => rate.limit(),
            Rate::SlidingCounter(rate) => rate.limit(),
            Rate::SlidingWindow(rate) => rate.limit(),
            Rate::WarmUp(rate) => rate.most(),
        }
    }

    /// The word after taking `cost` at `now`, and the wait in ns.
    pub fn step<W: Word>(&self, seen: u64, buckets: &[W], now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        match self {
            Rate::TokenBucket(rate) => rate.step(seen, now, cost).map(|next| (next, 0)),
            Rate::Reserving(rate) => rate.step_and_wait(seen, now, cost),
            Rate::Pacing(rate) => rate.step(seen, now, cost),
            Rate::FixedWindow(rate) => rate.step(seen, now, cost),
            Rate::SlidingCounter(rate) => rate.step(seen, now, cost),
            Rate::SlidingWindow(rate) => rate.step(seen, buckets, now, cost),
            Rate::WarmUp(rate) => rate.step(seen, now, cost),
        }
    }

    /// Takes `cost` at `now` (ns) and tells the wait in ns, or says why not. **Hot.**
    pub fn take<W: Word>(&self, word: &W, buckets: &[W], now: u64, cost: u64) -> Result<u64, Refusal> {
        match self {
            // The first call in a bucket has more to do than a step.
            Rate::SlidingWindow(rate) => rate.take(word, buckets, now, cost),
            _ => update(word, |seen| self.step(seen, buckets, now, cost)),
        }
    }

    /// The same for a call that has so many ns left: a wait that takes as long is refused, and nothing taken.
    pub fn take_within<W: Word>(
        &self,
        word: &W,
        buckets: &[W],
        now: u64,
        cost: u64,
        left: u64,
    ) -> Result<u64, NotWithin> {
        let within = |seen| match self.step(seen, buckets, now, cost).map_err(NotWithin::Refused)? {
            (_, wait) if wait >= left.max(1) => Err(NotWithin::Wait(wait)),
            taken => Ok(taken),
        };
        match self {
            // Whose wait is none.
            Rate::SlidingWindow(_) => self.take(word, buckets, now, cost).map_err(NotWithin::Refused),
            _ => update(word, within),
        }
    }

    /// Gives `cost` back that was taken at `taken` with `wait` by a call that passed, and left before its moment.
    pub fn leave<W: Word>(&self, word: &W, now: u64, cost: u64, taken: u64, wait: u64) {
        match self {
            Rate::Reserving(rate) => rate.leave(word, now, cost, taken.saturating_add(wait)),
            _ => self.give_back(word, now, cost, taken, wait),
        }
    }

    /// Gives `cost` back that was taken at `taken` with `wait` by a call that does not pass. What windows have counted belongs to its own window, and slots to the
    /// moment that was told; so they need to know both.
    pub fn give_back<W: Word>(&self, word: &W, now: u64, cost: u64, taken: u64, wait: u64) {
        let acts = taken.saturating_add(wait);
        match self {
            Rate::TokenBucket(rate) => rate.give_back(word, now, cost),
            Rate::Reserving(rate) => rate.give_back(word, now, cost),
            Rate::Pacing(rate) => rate.give_back(word, acts, cost),
            Rate::FixedWindow(rate) => rate.give_back(word, taken, cost),
            Rate::SlidingCounter(rate) => rate.give_back(word, taken, cost),
            Rate::SlidingWindow(rate) => rate.give_back(word, taken, cost),
            Rate::WarmUp(rate) => rate.give_back(word, acts, cost),
        }
    }

    /// The used share, in thousandths.
    pub fn pressure<W: Word>(&self, seen: u64, buckets: &[W], now: u64) -> u32 {
        match self {
            Rate::TokenBucket(rate) => rate.pressure(seen, now),
            Rate::Reserving(rate) => rate.pressure(seen, now),
            Rate::Pacing(rate) => rate.pressure(seen, now),
            Rate::FixedWindow(rate) => rate.pressure(seen, now),
            Rate::SlidingCounter(rate) => rate.pressure(seen, now),
            Rate::SlidingWindow(rate) => rate.pressure(seen, buckets, now),
            Rate::WarmUp(rate) => rate.pressure(seen, now),
        }
    }

    /// The word for these numbers that keeps what `seen` says under `old`. Of another algorithm nothing can be kept: these begin afresh.
    /// Words of any other generation stay as they are.
    pub fn rescale<W: Word>(&self, old: &Rate, seen: u64, buckets: &[W], now: u64) -> u64 {
        match (self, old) {
            (Rate::TokenBucket(rate), Rate::TokenBucket(old)) => rate.rescale(old, seen, now),
            (Rate::Reserving(rate), Rate::Reserving(old)) => rate.rescale(old, seen, now),
            (Rate::Reserving(rate), Rate::TokenBucket(old)) => rate.rescale(&Reserving::from(*old), seen, now),
            (Rate::TokenBucket(rate), Rate::Reserving(old)) => Reserving::from(*rate).rescale(old, seen, now),
            (Rate::Pacing(rate), Rate::Pacing(old)) => rate.rescale(old, seen, now),
            (Rate::FixedWindow(rate), Rate::FixedWindow(old)) => rate.rescale(old, seen, now),
            (Rate::SlidingCounter(rate), Rate::SlidingCounter(old)) => rate.rescale(old, seen, now),
            (Rate::SlidingWindow(rate), Rate::SlidingWindow(old)) => rate.rescale(old, seen, buckets, now),
            (Rate::WarmUp(rate), Rate::WarmUp(old)) => rate.rescale(old, seen, now),
            (_, old) if old.owns(seen) => 0,
            _ => seen,
        }
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        match self {
            Rate::TokenBucket(rate) => rate.owns(word),
            Rate::Reserving(rate) => rate.owns(word),
            Rate::Pacing(rate) => rate.owns(word),
            Rate::FixedWindow(rate) => rate.owns(word),
            Rate::SlidingCounter(rate) => rate.owns(word),
            Rate::SlidingWindow(rate) => rate.owns(word),
            Rate::WarmUp(rate) => rate.owns(word),
        }
    }

    /// Brings a word to the present that lies further ahead than it can, because time went back. `clock` is read after the word. To be called when
    /// it has refused.
    #[cold]
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        match self {
            Rate::TokenBucket(rate) => rate.rebase(word, clock),
            Rate::Reserving(rate) => rate.rebase(word, clock),
            Rate::Pacing(rate) => rate.rebase(word, clock),
            Rate::FixedWindow(rate) => rate.rebase(word, clock),
            Rate::SlidingCounter(rate) => rate.rebase(word, clock),
            Rate::SlidingWindow(rate) => rate.rebase(word, clock),
            Rate::WarmUp(rate) => rate.rebase(word, clock),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const SECOND: u64 = 1_000_000_000;

    /// One of each, of ten a second.
    fn rates(generation: u64) -> [Rate; 6] {
        [
            Rate::TokenBucket(Bucket::new(10.0, SECOND, 10, generation).unwrap()),
            Rate::Pacing(Pacing::new(10.0, SECOND, SECOND, generation).unwrap()),
            Rate::FixedWindow(FixedWindow::new(10, SECOND, generation).unwrap()),
            Rate::SlidingCounter(SlidingCounter::new(10, SECOND, generation).unwrap()),
            Rate::SlidingWindow(SlidingWindow::new(10, SECOND, 10, generation).unwrap()),
            Rate::WarmUp(WarmUp::new(10.0, SECOND, SECOND, 3.0, SECOND, generation).unwrap()),
        ]
    }

    fn words() -> (AtomicU64, Vec<AtomicU64>) {
        (AtomicU64::new(0), (0..10).map(|_| AtomicU64::new(0)).collect())
    }

    #[test]
    fn all_have_one_shape() {
        for (rate, new) in rates(15).into_iter().zip(rates(1)) {
            let (word, buckets) = words();
            assert_eq!(Rate::of(rate.kind(), rate.words()), Some(rate));
            assert_eq!(rate.buckets(), if rate.kind() == 5 { 10 } else { 0 });
            assert_eq!(rate.most(), 10, "{rate:?}");
            assert_eq!(rate.take(&word, &buckets, 77, 11), Err(Refusal::Never));
            assert_eq!(rate.take(&word, &buckets, 77, 0), Ok(0));
            assert_eq!(rate.pressure(word.load(Relaxed), &buckets, 77), 0, "{rate:?}");

            while let Ok(wait) = rate.take(&word, &buckets, 77, 1) {
                assert!(wait <= SECOND);
            }
            let seen = word.load(Relaxed);
            assert!(rate.owns(seen) && rate.pressure(seen, &buckets, 77) >= 900, "{rate:?}");
            let Err(Refusal::Empty(ns)) = rate.step(seen, &buckets, 77, 1) else { panic!("{rate:?}") };
            assert!(rate.step(seen, &buckets, 77 + ns, 1).is_ok(), "{rate:?}");
            // A ramp counts time in 64ths of its interval.
            let early = if rate.kind() == 6 { SECOND / 10 / 64 } else { 1 };
            assert!(rate.step(seen, &buckets, 77 + ns - early, 1).is_err(), "{rate:?}");

            assert_eq!(new.take(&word, &buckets, 77, 1), Err(Refusal::Stale));
            let next = new.rescale(&rate, seen, &buckets, 77);
            assert!(new.owns(next) && new.step(next, &buckets, 77, 1).is_err(), "{rate:?}");
            assert_eq!(rate.rescale(&rate, next, &buckets, 77), next);
        }
    }

    #[test]
    fn a_wait_that_takes_all_the_time_left_takes_nothing() {
        let waiting = Rate::Reserving(Reserving::new(10.0, SECOND, 1, SECOND, 3).unwrap());
        for rate in rates(3).into_iter().chain([waiting]) {
            let (word, buckets) = words();
            let first = rate.take_within(&word, &buckets, 77, 1, 1);
            assert_eq!(first, Ok(0), "{rate:?}");
            let (seen, wait) = (word.load(Relaxed), rate.step(word.load(Relaxed), &buckets, 77, 1).unwrap().1);
            let within = |left| rate.take_within(&word, &buckets, 77, 1, left);
            if wait > 0 {
                assert_eq!((within(wait), word.load(Relaxed)), (Err(NotWithin::Wait(wait)), seen), "{rate:?}");
            }
            assert_eq!(within(wait + 1), Ok(wait), "{rate:?}");
            assert_eq!(within(0).is_ok(), wait == 0, "{rate:?}");
        }
    }

    /// While one that will mend a word sleeps, after it has read the clock, another takes.
    #[test]
    fn who_mends_a_word_and_sleeps_gives_nobody_anything() {
        for rate in rates(3) {
            let (word, buckets) = words();
            rate.take(&word, &buckets, SECOND, 1).unwrap();
            let later = 1000 * SECOND;
            rate.rebase(&word, || {
                rate.take(&word, &buckets, later, 1).unwrap();
                SECOND / 2
            });
            let pressure = rate.pressure(word.load(Relaxed), &buckets, later);
            let (plain, buckets) = words();
            rate.take(&plain, &buckets, SECOND, 1).unwrap();
            rate.take(&plain, &buckets, later, 1).unwrap();
            assert_eq!(pressure, rate.pressure(plain.load(Relaxed), &buckets, later), "{rate:?}");
        }
    }

    #[test]
    fn what_is_taken_can_be_given_back() {
        for rate in rates(3) {
            let (word, buckets) = words();
            rate.take(&word, &buckets, 5 * SECOND, 2).unwrap();
            let seen = word.load(Relaxed);
            let wait = rate.take(&word, &buckets, 5 * SECOND, 3).unwrap();
            rate.give_back(&word, 5 * SECOND + 1, 3, 5 * SECOND, wait);
            assert_eq!(
                rate.pressure(word.load(Relaxed), &buckets, 6 * SECOND - 1),
                rate.pressure(seen, &buckets, 6 * SECOND - 1)
            );
        }
    }

    #[test]
    fn time_that_goes_back_is_mended() {
        for rate in rates(3) {
            let (word, buckets) = words();
            rate.take(&word, &buckets, 9000 * SECOND, 10).unwrap();
            rate.rebase(&word, || SECOND);
            // Three cold seconds for ten calls are the most.
            assert!(rate.step(word.load(Relaxed), &buckets, 4 * SECOND, 1).is_ok(), "{rate:?}");
        }
    }

    #[test]
    fn another_algorithm_begins_afresh() {
        let (old, word, buckets) = (rates(1), AtomicU64::new(0), words().1);
        for (index, new) in rates(2).into_iter().enumerate() {
            let before = old[(index + 1) % 6];
            word.store(0, Relaxed);
            before.take(&word, &buckets, SECOND, 9).unwrap();
            let seen = word.load(Relaxed);
            let next = new.rescale(&before, seen, &buckets, SECOND);
            assert!(new.step(next, &buckets, SECOND, 10).is_ok());
            assert_eq!(new.rescale(&rates(7)[(index + 1) % 6], seen, &buckets, SECOND), seen);
        }
        assert_eq!(Rate::of(7, [1; 8]), None);
    }
}
