//! The numbers of a limiter, of whichever algorithm, and what all have in common.

use crate::rate::common::GENERATION_MASK;
use crate::rate::limiter::Limiter as Bucket;
use crate::rate::reserve::Reservation;
use crate::rate::{Rate, Refusal};
use crate::word::{Word, update};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One algorithm's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// A token bucket that can be reserved from.
    Bucket(Bucket),
    /// Any other.
    Other(Rate),
}

impl Numbers {
    /// Which algorithm: see [`Rate::kind`] and [`Bucket::kind`].
    pub fn kind(&self) -> u64 {
        match self {
            Numbers::Bucket(bucket) => bucket.kind(),
            Numbers::Other(rate) => rate.kind(),
        }
    }

    pub fn words(&self) -> [u64; 8] {
        match self {
            Numbers::Bucket(bucket) => bucket.words(),
            Numbers::Other(rate) => rate.words(),
        }
    }

    #[inline(always)]
    pub fn of(kind: u64, words: [u64; 8]) -> Option<Numbers> {
        match kind {
            16.. => Bucket::of(kind, words).map(Numbers::Bucket),
            _ => Rate::of(kind, words).map(Numbers::Other),
        }
    }

    /// How many bucket words it needs.
    pub fn buckets(&self) -> usize {
        if let Numbers::Other(rate) = self { rate.buckets() } else { 0 }
    }

    /// Takes `cost` at `now` with a wait of at most `max_wait`; `generation` is that of these numbers. Of a word of other numbers it is [`Refusal::Stale`].
    #[inline(always)]
    pub fn reserve<W: Word>(
        &self,
        word: &W,
        buckets: &[W],
        now: u64,
        cost: u64,
        max_wait: u64,
        generation: u64,
    ) -> Result<Reservation, Refusal> {
        let taken = |wait| Reservation::still(cost, now, wait, generation);
        match self {
            Numbers::Bucket(bucket) => bucket.reserve(word, now, cost, max_wait),
            Numbers::Other(Rate::SlidingWindow(rate)) => rate.take(word, buckets, now, cost).map(taken),
            Numbers::Other(rate) => {
                let within = |(next, wait)| {
                    if wait > max_wait { Err(Refusal::Empty(wait - max_wait)) } else { Ok((next, wait)) }
                };
                update(word, |seen| within(rate.step(seen, buckets, now, cost)?)).map(taken)
            }
        }
    }

    /// Gives back what was taken at `at` and is not used. A token bucket keeps what later reservations count on, see
    /// [`crate::rate::reserve`]; the others are described at their `give_back`.
    pub fn cancel<W: Word>(&self, word: &W, now: u64, at: u64, reservation: &Reservation) -> Result<(), Refusal> {
        match self {
            Numbers::Bucket(bucket) => bucket.cancel(word, now, reservation),
            Numbers::Other(rate) => {
                rate.give_back(word, now, reservation.cost, at, reservation.wait_ns);
                Ok(())
            }
        }
    }

    /// A reservation that was made with `old`, as it would be had it been made with these.
    pub fn moved(&self, old: &Numbers, reservation: &Reservation, changed_at: u64) -> Option<Reservation> {
        match (self, old) {
            (Numbers::Bucket(Bucket::Flowing(new)), Numbers::Bucket(Bucket::Flowing(old))) => {
                Some(reservation.moved(old, new, changed_at))
            }
            _ => None,
        }
    }

    /// What could be taken at `now`: of a token bucket exactly, and negative in debt; of the others the largest whole cost that would
    /// not be refused.
    pub fn tokens<W: Word>(&self, word: &W, buckets: &[W], now: u64) -> Result<f64, Refusal> {
        let seen = word.get();
        match self {
            Numbers::Bucket(bucket) => bucket.tokens(seen, now),
            Numbers::Other(rate) => {
                let (mut fits, mut over) = (0, rate.most().saturating_add(1));
                while over - fits > 1 {
                    let cost = fits + (over - fits) / 2;
                    match rate.step(seen, buckets, now, cost) {
                        Ok(_) => fits = cost,
                        Err(Refusal::Stale) => return Err(Refusal::Stale),
                        Err(_) => over = cost,
                    }
                }
                Ok(fits as f64)
            }
        }
    }

    /// The word for these numbers that keeps what `seen` says under `old`, and is of their generation in any case.
    pub fn rescale<W: Word>(&self, old: &Numbers, seen: u64, buckets: &[W], now: u64) -> u64 {
        let next = match (self, old) {
            (Numbers::Bucket(new), Numbers::Bucket(old)) => new.rescale(old, seen, now),
            (Numbers::Other(new), Numbers::Other(old)) => new.rescale(old, seen, buckets, now),
            _ => 0,
        };
        if next & GENERATION_MASK == 0 { self.fresh(now) } else { next }
    }

    /// A word that nobody has taken from, as seen at `now`.
    pub fn fresh(&self, now: u64) -> u64 {
        match self {
            Numbers::Bucket(bucket) => bucket.rescale(bucket, 0, now),
            Numbers::Other(rate) => {
                let word = AtomicU64::new(0);
                let buckets = [const { AtomicU64::new(0) }; super::cell::BUCKETS];
                let _ = rate.take(&word, &buckets, now, 1);
                rate.give_back(&word, now, 1, now, 0);
                word.load(Relaxed)
            }
        }
    }

    /// Mends a word that lies further ahead than it can, because time went back: see [`Rate::rebase`].
    #[cold]
    pub fn rebase<W: Word>(&self, word: &W, clock: impl Fn() -> u64) {
        match self {
            Numbers::Bucket(Bucket::Flowing(bucket)) => bucket.rebase(word, clock),
            Numbers::Bucket(_) => {}
            Numbers::Other(rate) => rate.rebase(word, clock),
        }
    }
}
