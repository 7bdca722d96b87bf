//! A token bucket that can be reserved from: a call may take tokens that are not there yet, and waits until they are. The bucket goes into debt by at
//! most `max_wait`.
//!
//! The word is that of [`super::token_bucket`]: the moment at which the bucket will be full again. Further ahead than an empty bucket's, it
//! is in debt, which is why these numbers know the longest: what lies even further ahead was written before time went back.
//!
//! **Cancelling** follows golang.org/x/time/rate's `Reservation.CancelAt`: a reservation whose moment has passed gives nothing back, any other
//! what it took less what was reserved after it, as those who reserved later have been told their times. Where the original remembers the last
//! reservation's moment, here it is the moment at which the bucket leaves its debt; so after a partial cancel nobody gets back more than they took.
//! One compare-and-swap decides.

use super::common::{GENERATION_BITS, GENERATION_MASK, Refusal, owns, per_mille, untouched};
use super::token_bucket::{Bucket, FRACTION, MAX_FILL, full_at};
use crate::word::{Word, update};

/// A rule's numbers, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserving {
    pub(super) bucket: Bucket,
    /// The deepest debt, in eighths of a nanosecond.
    debt: u64,
}

/// What was reserved: plain data of the caller's, given back by [`Reserving::cancel`] once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Tokens.
    pub cost: u64,
    /// From the `now` of the reservation until the caller may act, in ns, rounded up.
    pub wait_ns: u64,
    /// When the caller may act, in ns.
    pub act_at: u64,
    /// The same to an eighth of a nanosecond, where it stands in the word, and the generation.
    exact: u64,
}

/// One that lets nobody wait.
impl From<Bucket> for Reserving {
    fn from(bucket: Bucket) -> Reserving {
        Reserving { bucket, debt: 0 }
    }
}

impl Reserving {
    /// The longest `max_wait`, in ns: 1.14 years. A longer one counts as this.
    pub const MAX_WAIT: u64 = ((MAX_FILL - 1) as u64) >> FRACTION;

    /// The bucket of [`Bucket::new`] that may go into debt by `max_wait_ns`.
    pub fn new(limit: f64, per_ns: u64, burst: u64, max_wait_ns: u64, generation: u64) -> Option<Reserving> {
        let bucket = Bucket::new(limit, per_ns, burst, generation)?;
        Some(Reserving { bucket, debt: max_wait_ns.min(Self::MAX_WAIT) << FRACTION })
    }

    /// Which change of the rule these numbers are of.
    #[inline(always)]
    pub fn generation(&self) -> u64 {
        self.bucket.generation
    }

    /// The largest cost that is not [`Refusal::Never`].
    pub fn most(&self) -> u64 {
        self.bucket.tokens_in(self.bucket.tolerance)
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        let mut words = self.bucket.words();
        words[4] = self.debt;
        words
    }

    /// Reads [`Reserving::words`].
    #[inline(always)]
    pub fn of(words: [u64; 8]) -> Option<Reserving> {
        let bucket = Bucket::of(words)?;
        (words[4] <= Self::MAX_WAIT << FRACTION).then_some(Reserving { bucket, debt: words[4] })
    }

    /// The word after reserving `cost` at `now` with a wait of at most `max_wait_ns`.
    #[inline(always)]
    pub fn step(&self, seen: u64, now: u64, cost: u64, max_wait_ns: u64) -> Result<(u64, Reservation), Refusal> {
        let used = self.used(seen, now)?;
        let taken = self.bucket.time_of(cost);
        if taken > self.bucket.tolerance {
            return Err(Refusal::Never);
        }
        // What costs nothing waits for nobody.
        let wait = if cost == 0 { 0 } else { (used + taken).saturating_sub(self.bucket.tolerance) };
        let most = max_wait_ns.saturating_mul(1 << FRACTION).min(self.debt);
        if wait > most {
            return Err(Refusal::Empty((wait - most).div_ceil(1 << FRACTION)));
        }
        let wait_ns = wait.div_ceil(1 << FRACTION);
        let exact = full_at(now, self.bucket.generation).wrapping_add(wait << GENERATION_BITS);
        let reservation = Reservation { cost, wait_ns, act_at: now.saturating_add(wait_ns), exact };
        Ok((if cost == 0 { seen } else { self.bucket.word(now, used + taken) }, reservation))
    }

    /// The word after taking `cost` at `now`, and the wait in ns, however long the numbers allow.
    #[inline(always)]
    pub fn step_and_wait(&self, seen: u64, now: u64, cost: u64) -> Result<(u64, u64), Refusal> {
        self.step(seen, now, cost, u64::MAX).map(|(next, reservation)| (next, reservation.wait_ns))
    }

    /// Takes `cost` tokens at `now` (ns) without a wait.
    pub fn take<W: Word>(&self, word: &W, now: u64, cost: u64) -> Result<u64, Refusal> {
        self.take_or_wait(word, now, cost, 0)
    }

    /// Takes `cost` tokens and tells how long to wait for them, at most `max_wait_ns`, in ns. A cost over the burst is
    /// [`Refusal::Never`]; [`Refusal::Empty`] tells after how long the wait would be short enough.
    pub fn take_or_wait<W: Word>(&self, word: &W, now: u64, cost: u64, max_wait_ns: u64) -> Result<u64, Refusal> {
        self.reserve(word, now, cost, max_wait_ns).map(|reservation| reservation.wait_ns)
    }

    /// The same, for callers who may cancel.
    #[inline(always)]
    pub fn reserve<W: Word>(&self, word: &W, now: u64, cost: u64, max_wait_ns: u64) -> Result<Reservation, Refusal> {
        update(word, |seen| self.step(seen, now, cost, max_wait_ns))
    }

    /// Takes as many of `most` tokens as are there, and tells how many.
    pub fn take_at_most<W: Word>(&self, word: &W, now: u64, most: u64) -> Result<u64, Refusal> {
        update(word, |seen| {
            let used = self.used(seen, now)?;
            let cost = self.bucket.tokens_in(self.bucket.tolerance.saturating_sub(used)).min(most);
            Ok((if cost == 0 { seen } else { self.bucket.word(now, used + self.bucket.time_of(cost)) }, cost))
        })
    }

    /// Gives back what a reservation took and later ones do not count on (see above). Of other numbers it is [`Refusal::Stale`]: see
    /// [`Reservation::moved`].
    pub fn cancel<W: Word>(&self, word: &W, now: u64, reservation: &Reservation) -> Result<(), Refusal> {
        if untouched(reservation.exact, self.bucket.generation)? || reservation.act_at < now {
            return Ok(());
        }
        update(word, |seen| {
            let used = self.used(seen, now)?;
            let act = difference(reservation.exact, full_at(now, self.bucket.generation));
            Ok((self.without(seen, now, used, reservation.cost, act), ()))
        })
    }

    /// Gives `cost` tokens back that were taken by a call that does not pass after all. All of them: it was no call, and would else
    /// leave a debt that nobody owes. Who took after it meanwhile keeps the time that it was told.
    pub fn give_back<W: Word>(&self, word: &W, now: u64, cost: u64) {
        // As if it stood behind the deepest debt.
        self.put_back(word, now, cost, self.debt as i64);
    }

    /// Gives `cost` tokens back that were taken by a call which passed, was to act at `acts` (its `now` and its wait, in ns), and left:
    /// as [`Reserving::cancel`], but a moment that has passed counts as `now`. The wait was rounded up, so that up to a
    /// nanosecond's tokens of what was reserved after it come back too.
    pub fn leave<W: Word>(&self, word: &W, now: u64, cost: u64, acts: u64) {
        self.put_back(word, now, cost, (acts.saturating_sub(now).min(Self::MAX_WAIT) << FRACTION) as i64);
    }

    fn put_back<W: Word>(&self, word: &W, now: u64, cost: u64, act: i64) {
        let _: Result<(), Refusal> = update(word, |seen| {
            let used = self.used(seen, now)?;
            let full = untouched(seen, self.bucket.generation)?;
            Ok((if full { seen } else { self.without(seen, now, used, cost, act) }, ()))
        });
    }

    /// The word without the tokens that a call took which was to act in `act` eighths of a nanosecond, less those that were reserved after it.
    fn without(&self, seen: u64, now: u64, used: u64, cost: u64, act: i64) -> u64 {
        let free = used as i64 - self.bucket.tolerance as i64;
        let later = free.saturating_sub(act).max(0) as u64;
        let back = self.bucket.time_of(cost).saturating_sub(later);
        if back == 0 { seen } else { self.bucket.word(now, used.saturating_sub(back)) }
    }

    /// How long `cost` tokens would have to be waited for, in ns.
    pub fn wait_time(&self, seen: u64, now: u64, cost: u64) -> Result<u64, Refusal> {
        self.step_and_wait(seen, now, cost).map(|(_, wait_ns)| wait_ns)
    }

    /// Tokens left; negative in debt.
    pub fn tokens(&self, seen: u64, now: u64) -> Result<f64, Refusal> {
        let left = self.bucket.tolerance as f64 - self.used(seen, now)? as f64;
        Ok(left * f64::from(self.bucket.shift).exp2() / self.bucket.interval as f64)
    }

    /// The word that has so many tokens at `now`, as far as burst and debt allow.
    pub fn word_of(&self, tokens: f64, now: u64) -> u64 {
        let left = tokens * self.bucket.interval as f64 / f64::from(self.bucket.shift).exp2();
        let used = (self.bucket.tolerance as f64 - left).ceil().max(0.0) as u64;
        self.bucket.word(now, used.min(self.deepest()))
    }

    /// The used share of the burst, in thousandths; 1000 in debt.
    pub fn pressure(&self, seen: u64, now: u64) -> u32 {
        per_mille(self.used(seen, now).unwrap_or(0), self.bucket.tolerance)
    }

    /// The word for these numbers that holds or owes as many tokens as `seen` under `old`, no more than the new burst and no deeper than the new debt. Words
    /// of any other generation stay as they are.
    pub fn rescale(&self, old: &Reserving, seen: u64, now: u64) -> u64 {
        let Ok(used) = old.used(seen, now) else { return seen };
        if seen & GENERATION_MASK == 0 {
            return seen;
        }
        let (from, to) = (old.bucket.tolerance, self.bucket.tolerance);
        let used = if used <= from {
            to.saturating_sub(self.converted(&old.bucket, from - used).0)
        } else {
            to.saturating_add(self.converted_up(&old.bucket, used - from))
        };
        self.bucket.word(now, used.min(self.deepest()))
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        owns(word, self.bucket.generation)
    }

    /// Brings a word to the present that lies further ahead than a bucket in debt can be, because time went back: it is empty now, and
    /// fills from now on. `clock` is read after the word, or a late thread would take time back that has passed.
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        let (seen, now) = (word.get(), clock());
        let own = seen & GENERATION_MASK == self.bucket.generation;
        if own && self.bucket.ahead(seen, now) > self.deepest() as i64 {
            // Failing means that another did it, or time went on.
            let _ = word.swap_if(seen, self.bucket.word(now, self.bucket.tolerance));
        }
    }

    /// The time that as many tokens take here as take `time` in `old`: rounded down, and whether it was.
    fn converted(&self, old: &Bucket, time: u64) -> (u64, bool) {
        let (own, interval) = (u128::from(self.bucket.interval), u128::from(old.interval.max(1)));
        let scaled = u128::from(time) << old.shift;
        let whole = own * u128::from(u64::try_from(scaled / interval).unwrap_or(u64::MAX));
        let part = (scaled % interval) * own;
        let sum = whole.saturating_add(part / interval);
        let rounded = !part.is_multiple_of(interval) || sum & ((1 << self.bucket.shift) - 1) != 0;
        (u64::try_from(sum >> self.bucket.shift).unwrap_or(u64::MAX), rounded)
    }

    /// The same, rounded up.
    fn converted_up(&self, old: &Bucket, time: u64) -> u64 {
        let (down, rounded) = self.converted(old, time);
        down.saturating_add(u64::from(rounded))
    }

    /// How far ahead a word can be: less than half the circle.
    fn deepest(&self) -> u64 {
        self.bucket.tolerance + self.debt
    }

    /// How far ahead of `now` it is: 0 is a full bucket, more than the tolerance one in debt.
    #[inline(always)]
    fn used(&self, seen: u64, now: u64) -> Result<u64, Refusal> {
        if untouched(seen, self.bucket.generation)? {
            return Ok(0);
        }
        Ok((self.bucket.ahead(seen, now).max(0) as u64).min(self.deepest()))
    }
}

impl Reservation {
    /// One whose moment is not told in tokens' time.
    #[inline]
    pub(crate) fn still(cost: u64, now: u64, wait_ns: u64, generation: u64) -> Reservation {
        Reservation { cost, wait_ns, act_at: now.saturating_add(wait_ns), exact: generation }
    }

    /// As plain words.
    #[inline]
    pub fn words(&self) -> [u64; 4] {
        [self.cost, self.wait_ns, self.act_at, self.exact]
    }

    /// Reads [`Reservation::words`].
    #[inline]
    pub fn of([cost, wait_ns, act_at, exact]: [u64; 4]) -> Reservation {
        Reservation { cost, wait_ns, act_at, exact }
    }

    /// The generation of the numbers that it was made with.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.exact & GENERATION_MASK
    }

    /// The reservation after its bucket's numbers changed from `old` to `new` at `changed_at`: what was owed before it is owed at the new rate
    /// from then on. For callers who cancel across a change.
    pub fn moved(&self, old: &Reserving, new: &Reserving, changed_at: u64) -> Reservation {
        let then = full_at(changed_at, old.bucket.generation);
        let ahead = difference(self.exact, then);
        if self.exact & GENERATION_MASK != old.bucket.generation || ahead < 0 {
            return *self;
        }
        let wait = new.converted_up(&old.bucket, ahead as u64).min(new.deepest());
        let exact = full_at(changed_at, new.bucket.generation).wrapping_add(wait << GENERATION_BITS);
        Reservation { act_at: changed_at.saturating_add(wait.div_ceil(1 << FRACTION)), exact, ..*self }
    }
}

/// Between two times of words, in eighths of a nanosecond, modulo 2⁶⁰.
fn difference(later: u64, earlier: u64) -> i64 {
    later.wrapping_sub(earlier) as i64 >> GENERATION_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::storm;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const SECOND: u64 = 1_000_000_000;
    /// A token's time.
    const TOKEN: u64 = SECOND / 10;

    fn reserving(burst: u64, max_wait: u64) -> Reserving {
        Reserving::new(10.0, SECOND, burst, max_wait, 1).unwrap()
    }

    #[test]
    fn debt_is_waited_for_and_bounded() {
        let (rule, word) = (reserving(2, 3 * TOKEN), AtomicU64::new(0));
        assert_eq!(rule.take_or_wait(&word, 0, 2, u64::MAX), Ok(0));
        assert_eq!(rule.take(&word, 0, 1), Err(Refusal::Empty(TOKEN)));
        assert_eq!(rule.take_or_wait(&word, 0, 2, 2 * TOKEN), Ok(2 * TOKEN));
        assert_eq!(rule.take_or_wait(&word, 0, 1, 3 * TOKEN - 1), Err(Refusal::Empty(1)), "the caller's bound");
        assert_eq!(rule.take_or_wait(&word, 0, 2, u64::MAX), Err(Refusal::Empty(TOKEN)), "the rule's bound");
        assert_eq!(rule.take_or_wait(&word, 0, 3, u64::MAX), Err(Refusal::Never));
        assert_eq!(rule.take_or_wait(&word, 0, 0, 0), Ok(0));
        assert_eq!(rule.tokens(word.load(Relaxed), 0), Ok(-2.0));
        assert_eq!(rule.tokens(word.load(Relaxed), 3 * TOKEN), Ok(1.0));
        assert_eq!(rule.wait_time(word.load(Relaxed), 0, 1), Ok(3 * TOKEN));
        assert_eq!(rule.take(&word, 0, 1), Err(Refusal::Empty(3 * TOKEN)), "without a wait, once the debt is paid");
        assert_eq!(rule.take(&word, 3 * TOKEN, 1), Ok(0));
    }

    #[test]
    fn at_most_takes_what_is_there() {
        let (rule, word) = (reserving(5, SECOND), AtomicU64::new(0));
        assert_eq!(rule.take_at_most(&word, 0, 3), Ok(3));
        assert_eq!(rule.take_at_most(&word, 0, u64::MAX), Ok(2));
        assert_eq!(rule.take_at_most(&word, TOKEN - 1, 9), Ok(0));
        assert_eq!(rule.take_at_most(&word, TOKEN, 9), Ok(1));
        rule.take_or_wait(&word, TOKEN, 3, SECOND).unwrap();
        assert_eq!(rule.take_at_most(&word, 3 * TOKEN, 9), Ok(0), "in debt");
    }

    #[test]
    fn time_that_goes_back_costs_at_most_a_burst_once_it_is_noticed() {
        let (rule, word) = (reserving(2, SECOND), AtomicU64::new(0));
        rule.take(&word, 3600 * SECOND, 1).unwrap();
        assert!(rule.take_or_wait(&word, 0, 1, u64::MAX).is_err());
        rule.rebase(&word, || 0);
        assert_eq!(rule.take_or_wait(&word, 0, 1, u64::MAX), Ok(TOKEN));
        let before = word.load(Relaxed);
        rule.rebase(&word, || 0);
        assert_eq!(word.load(Relaxed), before, "debt is none that time made");
    }

    #[test]
    fn numbers_and_times_at_their_ends() {
        let rule = Reserving::new(2f64.powi(63), SECOND, 1 << 63, u64::MAX, 15).unwrap();
        for now in [0, u64::MAX] {
            let word = AtomicU64::new(0);
            assert_eq!(rule.take_or_wait(&word, now, 1 << 63, 0), Ok(0));
            assert_eq!(rule.take_or_wait(&word, now, 1 << 63, u64::MAX), Ok(SECOND));
            assert_eq!(rule.take_or_wait(&word, now, u64::MAX, u64::MAX), Err(Refusal::Never));
        }
        let slow = Reserving::new(1.0, 1 << 54, 1, u64::MAX, 1).unwrap();
        let word = AtomicU64::new(0);
        assert_eq!(slow.take(&word, 5, 1), Ok(0));
        assert_eq!(slow.take_or_wait(&word, 5, 1, u64::MAX), Ok(1 << 54));
        assert!(matches!(slow.take_or_wait(&word, 5, 1, u64::MAX), Err(Refusal::Empty(_))), "over the longest debt");
        assert_eq!(Reserving::of(rule.words()), Some(rule));
        assert_eq!(Reserving::of([u64::MAX; 8]), None);
    }

    #[test]
    fn only_what_later_ones_do_not_count_on_comes_back() {
        let (rule, word) = (reserving(2, u64::MAX), AtomicU64::new(0));
        let reserve = |cost| rule.reserve(&word, 0, cost, u64::MAX).unwrap();
        reserve(2);
        let (first, _second) = (reserve(2), reserve(1));
        assert_eq!(rule.cancel(&word, 2 * TOKEN, &first), Ok(()), "one of the two");
        assert_eq!(rule.wait_time(word.load(Relaxed), 2 * TOKEN, 2), Ok(2 * TOKEN));
        assert_eq!(rule.cancel(&word, 2 * TOKEN + 1, &first), Ok(()), "too late");
        assert_eq!(rule.tokens(word.load(Relaxed), 2 * TOKEN), Ok(0.0));
    }

    #[test]
    fn who_leaves_takes_nothing_from_those_behind() {
        let after = |leaves: u64, at: u64| {
            let (rule, word) = (reserving(2, u64::MAX), AtomicU64::new(0));
            let waits = [(); 4].map(|()| rule.take_or_wait(&word, 0, 1, u64::MAX).unwrap());
            assert_eq!(waits, [0, 0, TOKEN, 2 * TOKEN]);
            rule.leave(&word, at, 1, leaves);
            at + rule.wait_time(word.load(Relaxed), at, 1).unwrap()
        };
        assert_eq!(after(2 * TOKEN, TOKEN / 2), 2 * TOKEN, "the last leaves its moment to the next");
        assert_eq!(after(TOKEN, TOKEN / 2), 3 * TOKEN, "the moment after this one's has been told");
        assert_eq!(after(0, 0), 3 * TOKEN, "two moments have been told");
        assert_eq!(after(u64::MAX, 0), 2 * TOKEN, "no more than it took");
    }

    #[test]
    fn a_changed_rule_keeps_tokens_and_debt() {
        let (old, word) = (reserving(5, u64::MAX), AtomicU64::new(0));
        old.take_or_wait(&word, 0, 5, 0).unwrap();
        let last = old.reserve(&word, 0, 3, u64::MAX).unwrap();
        let new = Reserving::new(1.0, SECOND, 2, 10 * SECOND, 2).unwrap();
        assert_eq!(new.take(&word, TOKEN, 1), Err(Refusal::Stale));
        let seen = new.rescale(&old, word.load(Relaxed), TOKEN);
        assert!((new.tokens(seen, TOKEN).unwrap() + 2.0).abs() < 1e-8);
        let back = old.rescale(&new, seen, TOKEN);
        assert!((old.tokens(back, TOKEN).unwrap() + 2.0).abs() < 1e-7);
        word.store(seen, Relaxed);
        assert_eq!(new.cancel(&word, TOKEN, &last), Err(Refusal::Stale));
        let moved = last.moved(&old, &new, TOKEN);
        assert_eq!(moved.act_at, TOKEN + 2 * SECOND);
        assert_eq!(new.cancel(&word, TOKEN, &moved), Ok(()));
        assert!((new.tokens(word.load(Relaxed), TOKEN).unwrap() - 1.0).abs() < 1e-8);
        assert!(!old.owns(word.load(Relaxed)) && new.owns(0));
    }

    #[test]
    fn a_storm_reserves_and_cancels_exactly() {
        let (rule, word) = (reserving(50, 100 * TOKEN), AtomicU64::new(0));
        assert_eq!(storm::still(7, |now, cost| rule.take_or_wait(&word, now, cost, u64::MAX).is_ok()), 150);
        // Two of three cancel. What the others took stays taken, and no two of them wait for the same token.
        let (word, turn) = (AtomicU64::new(0), AtomicU64::new(0));
        let kept = std::sync::Mutex::new(vec![]);
        storm::still(7, |now, cost| {
            let Ok(reservation) = rule.reserve(&word, now, cost, u64::MAX) else { return false };
            if turn.fetch_add(1, Relaxed) % 3 > 0 {
                rule.cancel(&word, now, &reservation).unwrap();
            } else {
                kept.lock().unwrap().push(reservation.wait_ns);
            }
            true
        });
        let kept = kept.into_inner().unwrap();
        assert!(rule.tokens(word.load(Relaxed), 7).unwrap() <= 50.0 - kept.len() as f64, "{}", kept.len());
        let mut waits: Vec<_> = kept.iter().filter(|&&wait| wait > 0).collect();
        waits.sort();
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]) && kept.len() >= 50);
    }

    proptest! {
        /// Against x/time/rate's mathematics in tokens: one float, as time only moves on.
        #[test]
        fn agrees_with_a_plain_bucket_in_debt(
            limit in 1u64..100_000, burst in 1u64..100,
            calls in prop::collection::vec((0u64..5_000_000, 0u64..20, 0u64..100_000_000, 0u8..4), 1..200),
        ) {
            let (rule, word) = (Reserving::new(limit as f64, SECOND, burst, SECOND, 1).unwrap(), AtomicU64::new(0));
            let rate = limit as f64 / 1e9;
            let (mut tokens, mut now, mut last) = (burst as f64, 0, None);
            for (pause, cost, max_wait, kind) in calls {
                now += pause;
                tokens = (tokens + pause as f64 * rate).min(burst as f64);
                if kind == 0 {
                    // The last reservation comes back whole, unless its moment has passed.
                    if let Some(reservation) = last.take() {
                        let reservation: Reservation = reservation;
                        rule.cancel(&word, now, &reservation).unwrap();
                        if reservation.act_at >= now {
                            tokens = (tokens + reservation.cost as f64).min(burst as f64);
                        }
                    }
                } else if kind == 1 {
                    let got = rule.take_at_most(&word, now, cost).unwrap();
                    let there = tokens.max(0.0).min(cost as f64);
                    prop_assert!((got as f64) <= there + 1e-3 && (got as f64) > there - 1.0 - 1e-3);
                    tokens -= got as f64;
                    // What is taken without a wait counts as reserved later only in debt, where nothing can be taken.
                    last = if got > 0 { None } else { last };
                } else {
                    let wait = if cost == 0 { 0.0 } else { (cost as f64 - tokens).max(0.0) / rate };
                    match rule.reserve(&word, now, cost, max_wait) {
                        Ok(reservation) => {
                            prop_assert!(cost <= burst && reservation.wait_ns as f64 > wait - 1e3 && (reservation.wait_ns as f64) < wait + 1e3);
                            tokens -= cost as f64;
                            last = if cost > 0 { Some(reservation) } else { last };
                        }
                        Err(Refusal::Never) => prop_assert!(cost > burst),
                        Err(_) => prop_assert!(wait > max_wait as f64 - 1e3),
                    }
                }
                let told = rule.tokens(word.load(Relaxed), now).unwrap();
                prop_assert!((told - tokens).abs() < 1e-2, "{} instead of {}", told, tokens);
            }
        }
    }
}
