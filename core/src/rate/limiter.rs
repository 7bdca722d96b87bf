//! What golang.org/x/time/rate's `Limiter` needs beyond a [`Reserving`] bucket: no limit at all, a limit of 0 with a burst, and changes of limit
//! and burst. A caller keeps the word and the numbers, and changes both together.
//!
//! | x/time/rate | here |
//! |---|---|
//! | `AllowN(t, n)` | `reserve(word, t, n, 0).is_ok()` |
//! | `ReserveN(t, n)`, `OK`, `DelayFrom(t)` | `reserve(word, t, n, u64::MAX)`; `act_at` less t |
//! | `CancelAt(t)` | `cancel(word, t, &reservation)`, across a change of [`Reservation::moved`] |
//! | `TokensAt(t)` | `tokens(word, t)` |
//! | `SetLimitAt(t, l)`, `SetBurstAt(t, b)` | numbers of the next generation, and `rescale(old, word, t)` |
//!
//! Where it differs: a time before the last one finds as many tokens as there were then, where the original counts those of the last one (its
//! own tests say that this violates limit and burst); reservations lie at most [`Reserving::MAX_WAIT`] ahead; with a burst of 0 no debt is paid off.

use super::OneWord;
use super::common::{GENERATION_BITS, GENERATION_MASK, Refusal, is_generation, owns, untouched};
use super::reserve::{Reservation, Reserving};
use crate::word::{Word, update};

/// A wait for ever: of a token that a limit of 0 never makes.
pub const FOR_EVER: u64 = u64::MAX;

/// The numbers of a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// Lets all pass, whatever the burst.
    Unlimited(Still),
    /// Never gains a token.
    Still(Still),
    /// Gains tokens.
    Flowing(Reserving),
}

/// A bucket whose tokens time does not change. Its word: 1/256 tokens used (60 bits) | generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Still {
    burst: u64,
    generation: u64,
}

/// Parts of a token in a still bucket's word.
const PARTS: u64 = 256;
/// The largest burst of one, and as many may be owed.
const MOST: u64 = 1 << 50;

impl Limiter {
    /// `limit` tokens a second: infinity (or Go's `Inf`, the largest float) for no limit, 0 or less for none at all. None when filling the
    /// burst would take over a year, a burst is over 2⁵⁰ where the limit is 0 or infinite, or the generation is none of 1 to 15.
    pub fn new(limit: f64, burst: u64, generation: u64) -> Option<Limiter> {
        Limiter::per(limit, 1_000_000_000, burst, generation)
    }

    /// The same of `limit` tokens in `per_ns`.
    pub fn per(limit: f64, per_ns: u64, burst: u64, generation: u64) -> Option<Limiter> {
        let still = (burst <= MOST && is_generation(generation)).then_some(Still { burst, generation });
        if limit >= f64::MAX {
            return still.map(Limiter::Unlimited);
        }
        if limit <= 0.0 || burst == 0 {
            return still.map(Limiter::Still);
        }
        Reserving::new(limit, per_ns, burst, Reserving::MAX_WAIT, generation).map(Limiter::Flowing)
    }

    /// Which of the three it is, beside the words: never reused, and no number of [`super::Rate::kind`].
    pub fn kind(&self) -> u64 {
        match self {
            Limiter::Flowing(_) => Reserving::KIND,
            Limiter::Still(_) => 17,
            Limiter::Unlimited(_) => 18,
        }
    }

    /// As words for a block of numbers.
    pub fn words(&self) -> [u64; 8] {
        match self {
            Limiter::Flowing(bucket) => bucket.words(),
            Limiter::Still(still) | Limiter::Unlimited(still) => [still.burst, still.generation, 0, 0, 0, 0, 0, 0],
        }
    }

    /// Reads [`Limiter::kind`] and [`Limiter::words`]. None for what no options give.
    #[inline(always)]
    pub fn of(kind: u64, words: [u64; 8]) -> Option<Limiter> {
        let [burst, generation, ..] = words;
        let still = (burst <= MOST && is_generation(generation)).then_some(Still { burst, generation });
        match kind {
            Reserving::KIND => Reserving::of(words).map(Limiter::Flowing),
            17 => still.map(Limiter::Still),
            18 => still.map(Limiter::Unlimited),
            _ => None,
        }
    }

    /// Reserves `cost` tokens at `now` with a wait of at most `max_wait_ns`; [`FOR_EVER`] also takes a wait for ever.
    #[inline(always)]
    pub fn reserve<W: Word>(&self, word: &W, now: u64, cost: u64, max_wait_ns: u64) -> Result<Reservation, Refusal> {
        match self {
            Limiter::Unlimited(still) => {
                untouched(word.get(), still.generation)?;
                Ok(Reservation::still(cost, now, 0, still.generation))
            }
            Limiter::Still(still) => update(word, |seen| still.step(seen, now, cost, max_wait_ns)),
            Limiter::Flowing(bucket) => bucket.reserve(word, now, cost, max_wait_ns),
        }
    }

    /// How long `cost` tokens would have to be waited for, in ns.
    pub fn wait_time(&self, seen: u64, now: u64, cost: u64) -> Result<u64, Refusal> {
        match self {
            Limiter::Unlimited(still) => untouched(seen, still.generation).map(|_| 0),
            Limiter::Still(still) => still.step(seen, now, cost, FOR_EVER).map(|(_, reservation)| reservation.wait_ns),
            Limiter::Flowing(bucket) => bucket.wait_time(seen, now, cost),
        }
    }

    /// Cancels: see [`super::reserve`]. A wait for ever comes back whole.
    pub fn cancel<W: Word>(&self, word: &W, now: u64, reservation: &Reservation) -> Result<(), Refusal> {
        match self {
            Limiter::Unlimited(_) => Ok(()),
            Limiter::Still(still) => still.cancel(word, now, reservation),
            Limiter::Flowing(bucket) => bucket.cancel(word, now, reservation),
        }
    }

    /// Takes as many of `most` tokens as are there, and tells how many.
    pub fn take_at_most<W: Word>(&self, word: &W, now: u64, most: u64) -> Result<u64, Refusal> {
        match self {
            Limiter::Unlimited(still) => untouched(word.get(), still.generation).map(|_| most),
            Limiter::Still(still) => update(word, |seen| {
                let there = (still.burst * PARTS).saturating_sub(still.used(seen)?) / PARTS;
                let cost = there.min(most);
                Ok((still.step(seen, now, cost, 0)?.0, cost))
            }),
            Limiter::Flowing(bucket) => bucket.take_at_most(word, now, most),
        }
    }

    /// Tokens left at `now`; negative in debt. Without a limit, the burst.
    pub fn tokens(&self, seen: u64, now: u64) -> Result<f64, Refusal> {
        match self {
            Limiter::Unlimited(still) => untouched(seen, still.generation).map(|_| still.burst as f64),
            Limiter::Still(still) => Ok(still.burst as f64 - still.used(seen)? as f64 / PARTS as f64),
            Limiter::Flowing(bucket) => bucket.tokens(seen, now),
        }
    }

    /// The word for these numbers with the tokens that `seen` has under `old`, at most the new burst. A word that nobody has touched is full
    /// under the old numbers. Words of any other generation stay as they are.
    pub fn rescale(&self, old: &Limiter, seen: u64, now: u64) -> u64 {
        if let (Limiter::Flowing(new), Limiter::Flowing(old)) = (self, old) {
            let full = || old.word_of(f64::MAX, now);
            return new.rescale(old, if seen & GENERATION_MASK == 0 { full() } else { seen }, now);
        }
        let Ok(tokens) = old.tokens(seen, now) else { return seen };
        match self {
            Limiter::Unlimited(still) | Limiter::Still(still) => still.word_of(tokens),
            Limiter::Flowing(bucket) => bucket.word_of(tokens, now),
        }
    }

    /// Whether a word is of these numbers; one that nobody has touched is of any.
    pub fn owns(&self, word: u64) -> bool {
        match self {
            Limiter::Unlimited(still) | Limiter::Still(still) => owns(word, still.generation),
            Limiter::Flowing(bucket) => bucket.owns(word),
        }
    }
}

impl Still {
    fn step(&self, seen: u64, now: u64, cost: u64, max_wait_ns: u64) -> Result<(u64, Reservation), Refusal> {
        let used = self.used(seen)?;
        if cost > self.burst {
            return Err(Refusal::Never);
        }
        let next = used + cost * PARTS;
        let owes = cost > 0 && next > self.burst * PARTS;
        if owes && (max_wait_ns != FOR_EVER || next > 2 * MOST * PARTS) {
            return Err(Refusal::Empty(FOR_EVER));
        }
        let wait = if owes { FOR_EVER } else { 0 };
        Ok((if cost == 0 { seen } else { self.word(next) }, Reservation::still(cost, now, wait, self.generation)))
    }

    fn cancel<W: Word>(&self, word: &W, now: u64, reservation: &Reservation) -> Result<(), Refusal> {
        if untouched(reservation.generation(), self.generation)? || reservation.act_at < now {
            return Ok(());
        }
        update(word, |seen| {
            let back = reservation.cost.saturating_mul(PARTS);
            Ok((if back == 0 { seen } else { self.word(self.used(seen)?.saturating_sub(back)) }, ()))
        })
    }

    fn used(&self, seen: u64) -> Result<u64, Refusal> {
        untouched(seen, self.generation).map(|full| if full { 0 } else { seen >> GENERATION_BITS })
    }

    fn word_of(&self, tokens: f64) -> u64 {
        let used = ((self.burst as f64 - tokens) * PARTS as f64).ceil().max(0.0) as u64;
        self.word(used.min(2 * MOST * PARTS))
    }

    fn word(&self, used: u64) -> u64 {
        used << GENERATION_BITS | self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::storm;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const D: u64 = 100_000_000;

    /// A limiter with its word, as a caller holds it.
    struct Held {
        limiter: Limiter,
        word: AtomicU64,
        generation: u64,
        limit: f64,
        burst: u64,
    }

    impl Held {
        fn new(limit: f64, burst: u64) -> Held {
            let limiter = Limiter::new(limit, burst, 1).unwrap();
            Held { limiter, word: AtomicU64::new(0), generation: 1, limit, burst }
        }

        /// When a reservation of so many may act.
        fn reserve(&self, now: u64, cost: u64) -> Option<u64> {
            self.reservation(now, cost).map(|reservation| reservation.act_at)
        }

        fn reservation(&self, now: u64, cost: u64) -> Option<Reservation> {
            self.limiter.reserve(&self.word, now, cost, FOR_EVER).ok()
        }

        fn allow(&self, now: u64, cost: u64) -> bool {
            self.limiter.reserve(&self.word, now, cost, 0).is_ok()
        }

        fn tokens(&self, now: u64) -> f64 {
            self.limiter.tokens(self.word.load(Relaxed), now).unwrap()
        }

        fn set(&mut self, now: u64, limit: f64, burst: u64) {
            self.generation = self.generation % 15 + 1;
            let new = Limiter::new(limit, burst, self.generation).unwrap();
            self.word.store(new.rescale(&self.limiter, self.word.load(Relaxed), now), Relaxed);
            (self.limiter, self.limit, self.burst) = (new, limit, burst);
        }

        fn set_limit(&mut self, now: u64, limit: f64) {
            self.set(now, limit, self.burst);
        }

        fn set_burst(&mut self, now: u64, burst: u64) {
            self.set(now, self.limit, burst);
        }
    }

    #[test]
    fn cancelling_gives_back_what_the_original_does() {
        let case = |reserved: &[u64], cancelled: usize, at: u64, cost: u64, acts: u64| {
            let held = Held::new(10.0, 4);
            held.reserve(0, 4).unwrap();
            let all: Vec<_> = reserved.iter().map(|&cost| held.reservation(0, cost).unwrap()).collect();
            held.limiter.cancel(&held.word, at, &all[cancelled]).unwrap();
            assert_eq!(held.reserve(at, cost), Some(acts), "{reserved:?}");
        };
        case(&[2], 0, D, 2, 2 * D);
        case(&[2], 0, 3 * D, 2, 4 * D);
        case(&[1, 1], 0, 0, 1, 3 * D);
        case(&[2, 1], 0, 2 * D, 2, 4 * D);
        case(&[3, 1, 1], 2, D, 1, 5 * D);
    }

    #[test]
    fn several_cancel_one_after_the_other() {
        let held = Held::new(10.0, 4);
        held.reserve(0, 4).unwrap();
        let (first, _, last) =
            (held.reservation(0, 3).unwrap(), held.reservation(0, 1).unwrap(), held.reservation(0, 1).unwrap());
        held.limiter.cancel(&held.word, D, &last).unwrap();
        held.limiter.cancel(&held.word, D, &first).unwrap();
        assert_eq!(held.reserve(D, 3), Some(5 * D), "as if the last had never been");
    }

    #[test]
    fn a_new_limit_and_a_new_burst_keep_the_tokens() {
        let mut held = Held::new(5.0, 2);
        assert_eq!((held.reserve(0, 2), held.reserve(0, 2)), (Some(0), Some(4 * D)));
        held.set_limit(2 * D, 10.0);
        assert_eq!(held.reserve(2 * D, 1), Some(4 * D), "one owed, and its own");
        let mut held = Held::new(10.0, 2);
        assert_eq!(held.reserve(0, 2), Some(0));
        held.set_burst(0, 4);
        assert_eq!((held.tokens(0), held.reserve(0, 4)), (0.0, Some(4 * D)));
        let mut held = Held::new(10.0, 5);
        held.set_burst(D, 10);
        assert_eq!((held.tokens(D), held.tokens(3 * D)), (5.0, 7.0), "nobody had touched it");
        held.set_burst(3 * D, 3);
        assert_eq!(held.tokens(3 * D), 3.0);
    }

    #[test]
    fn a_reservation_is_cancelled_across_a_new_limit() {
        let mut held = Held::new(5.0, 2);
        held.reserve(0, 2).unwrap();
        let reservation = held.reservation(0, 2).unwrap();
        let old = held.limiter;
        held.set_limit(2 * D, 10.0);
        assert_eq!(held.limiter.cancel(&held.word, 2 * D, &reservation), Err(Refusal::Stale));
        let (Limiter::Flowing(old), Limiter::Flowing(new)) = (old, held.limiter) else { unreachable!() };
        held.limiter.cancel(&held.word, 2 * D, &reservation.moved(&old, &new, 2 * D)).unwrap();
        assert_eq!(held.reserve(2 * D, 2), Some(3 * D));
    }

    #[test]
    fn infinite_and_zero_limits() {
        let mut held = Held::new(f64::MAX, 0);
        assert!(held.allow(0, u64::MAX) && held.allow(0, 1));
        assert_eq!(held.limiter.take_at_most(&held.word, 0, 7), Ok(7));
        held.set(D, 10.0, 3);
        assert_eq!(held.tokens(D), 0.0, "as much as the burst was");
        let mut held = Held::new(f64::INFINITY, 3);
        held.set_limit(D, 10.0);
        assert_eq!((held.allow(D, 3), held.allow(D, 1)), (true, false));
        held.set_limit(D, f64::MAX);
        assert!(held.allow(D, 100));

        let mut held = Held::new(0.0, 2);
        assert!(held.allow(0, 1));
        assert_eq!(held.limiter.take_at_most(&held.word, 0, 7), Ok(1));
        assert!(!held.allow(u64::MAX, 1) && held.allow(0, 0) && !held.allow(0, 3));
        let never = held.reservation(0, 1).unwrap();
        assert_eq!((never.wait_ns, held.tokens(0)), (FOR_EVER, -1.0));
        held.limiter.cancel(&held.word, D, &never).unwrap();
        assert_eq!(held.tokens(D), 0.0);
        held.set_limit(D, 10.0);
        assert_eq!((held.allow(D, 1), held.reserve(D, 1)), (false, Some(2 * D)));
        held.set_limit(D, 0.0);
        assert_eq!(held.tokens(9 * D), -1.0);
    }

    #[test]
    fn numbers_at_their_ends() {
        assert_eq!(Limiter::new(f64::NAN, 1, 1), None);
        assert_eq!(Limiter::new(1e-9, 1, 1), None);
        assert_eq!(Limiter::new(0.0, MOST + 1, 1), None);
        assert_eq!(Limiter::new(0.0, 1, 16), None);
        let held = Held::new(0.0, MOST);
        while held.reservation(0, MOST).is_some() {}
        assert_eq!(held.tokens(0), -(MOST as f64), "no deeper");
        assert!(held.limiter.owns(held.word.load(Relaxed)));
    }

    #[test]
    fn a_storm_on_a_still_bucket_takes_each_token_once() {
        let held = Held::new(0.0, 777);
        assert_eq!(storm::still(5, |now, cost| held.allow(now, cost)), 777);
    }
}
