//! How a set follows time and its rule.
//!
//! The times of words are short, so a word that nobody looks at for long would seem to lie ahead again. Therefore a set
//! carries a stamp: epoch and generation. The first call of an epoch, or of new numbers, tidies the set: words of
//! keys whose bucket is full again become timeless, others are brought over; then it renews the stamp. If nobody came for more
//! than an epoch, every word there is of a full bucket.
//!
//! Every word is read before the stamp that it is understood by, as a thread may sleep at any moment: one that wakes
//! in a later epoch sees a later stamp, and reads the clock again. What it takes in the moments before counts from its
//! reading of the clock. So a key whose bucket was full, and whose place went to another in the time that a thread slept, may
//! pass once more at most by that thread, with no more than a burst. One that slept for more than four epochs before it took from a full
//! bucket leaves a word that seems to lie ahead: until [`super::Keyed::settle`] the key is refused.

use super::Refusal;
use super::numbers::{Moment, Numbers};
use super::pace::Ticking;
use super::place;
use super::set::Set;
use crate::word::Word;

/// What a set was, as the first call of an epoch or of new numbers finds it.
struct Before {
    stamp: u64,
    then: Option<Ticking>,
    /// All its buckets are full again.
    past: bool,
}

impl Numbers {
    /// Makes sure that the words of a set can be understood at this moment.
    #[inline(always)]
    pub(super) fn refresh<W: Word, const P: usize>(&self, set: &Set<W, P>, at: &Moment) -> Result<(), Refusal> {
        if self.holds(set, at) { Ok(()) } else { self.tidy(set, at) }
    }

    /// Whether they can as they are. Of a word that was read before this is asked, whoever else changed the set meanwhile:
    /// the stamp is renewed before any word is of a later time.
    #[inline(always)]
    pub(super) fn holds<W: Word, const P: usize>(&self, set: &Set<W, P>, at: &Moment) -> bool {
        self.understands(place::stamp_of(set.stamp.get()), at)
    }

    /// Whether the words under a stamp can be understood at this moment.
    #[inline(always)]
    pub(super) fn understands(&self, stamp: u64, at: &Moment) -> bool {
        stamp == place::stamp(at.tick, self.generation) || self.is_ahead(stamp, at)
    }

    /// Whether a stamp is of a thread that read the clock a little later.
    #[cold]
    fn is_ahead(&self, stamp: u64, at: &Moment) -> bool {
        matches!(self.before(stamp, at), Ok(None))
    }

    #[cold]
    fn tidy<W: Word, const P: usize>(&self, set: &Set<W, P>, at: &Moment) -> Result<(), Refusal> {
        if let Some(before) = self.before(place::stamp_of(set.stamp.get()), at)? {
            self.renew(set, at, &before);
        }
        Ok(())
    }

    /// What a stamp says; None: it is good for this moment, too. Stale: it is of later numbers or a later time.
    fn before(&self, stamp: u64, at: &Moment) -> Result<Option<Before>, Refusal> {
        let generation = stamp & place::GENERATION;
        let then = if generation == 0 { None } else { self.ticking_of(generation)? };
        let Some(ticking) = then else { return Ok(Some(Before { stamp, then, past: true })) };
        match place::epochs_since(stamp, ticking.tick(at.ns)) {
            ..-1 => Err(Refusal::Stale),
            // A thread that read the clock a little earlier than another.
            -1..=0 if generation == self.generation => Ok(None),
            epochs => Ok(Some(Before { stamp, then, past: epochs > 1 })),
        }
    }

    fn renew<W: Word, const P: usize>(&self, set: &Set<W, P>, at: &Moment, before: &Before) {
        let stands = || place::stamp_of(set.stamp.get()) == before.stamp;
        for word in set.places {
            self.renew_place(word, set.insertions(), at, before.past, stands);
        }
        let stamp = place::stamp(at.tick, self.generation);
        loop {
            let seen = set.stamp.get();
            let ahead = before
                .then
                .filter(|_| !before.past)
                .map_or(0, |then| self.share(place::overflow_ahead(seen, then.tick(at.ns)), &then));
            let next = place::with_overflow(stamp, at.tick.wrapping_add(ahead as u64));
            if place::stamp_of(seen) != before.stamp || set.stamp.swap_if(seen, next).is_ok() {
                return;
            }
        }
    }

    /// Renews a word, if it was read while the old stamp stood: afterwards it may be a new one.
    fn renew_place<W: Word>(&self, place: &W, insertions: u32, at: &Moment, past: bool, stands: impl Fn() -> bool) {
        loop {
            let seen = place.get();
            let next = self.renewed(seen, insertions, at, past);
            if next == seen || !stands() || place.swap_if(seen, next).is_ok() {
                return;
            }
        }
    }

    fn renewed(&self, seen: u64, insertions: u32, at: &Moment, past: bool) -> u64 {
        if place::generation(seen) == 0 {
            return seen;
        }
        let full = place::full(place::print(seen), insertions);
        match self.ahead(seen, at) {
            _ if past => full,
            Err(_) => seen,
            Ok(ahead) if ahead <= 0 => full,
            Ok(_) if place::generation(seen) == self.generation => seen,
            Ok(ahead) => place::used(place::print(seen), at.tick.wrapping_add(ahead as u64), self.generation),
        }
    }

    /// Brings a set to a time that has gone back, or to numbers although it is of ones that seem later. A key that
    /// lies further ahead than a bucket can be is empty now, and fills from now on; by more than an epoch, or of
    /// unknown numbers, its bucket is full.
    pub(super) fn rebase<W: Word, const P: usize>(&self, set: &Set<W, P>, clock: impl Fn() -> u64) {
        let stamp = place::stamp_of(set.stamp.get());
        let now = clock();
        let at = self.at(now);
        match self.before(stamp, &at) {
            Err(_) => self.renew(set, &at, &Before { stamp, then: None, past: true }),
            Ok(Some(before)) => self.renew(set, &at, &before),
            Ok(None) => self.pull_back(set, now, clock),
        }
    }

    /// See [`super::Keyed::settle`].
    pub(super) fn settle<W: Word, const P: usize>(&self, set: &Set<W, P>, now: u64, clock: impl Fn() -> u64) {
        if self.holds(set, &self.at(now)) {
            self.pull_back(set, now, clock);
        }
    }

    /// Makes what lies too far ahead an empty bucket of now. The clock is read after the word, as whoever sleeps in between would
    /// take what others wrote meanwhile for too far ahead. Failing swaps mean that time went on.
    fn pull_back<W: Word, const P: usize>(&self, set: &Set<W, P>, now: u64, clock: impl Fn() -> u64) {
        let is_too_far = |seen: u64, at: &Moment| {
            place::generation(seen) == self.generation && place::ahead(seen, at.tick) > self.fill()
        };
        let (refused, empty) = (self.at(now), |at: &Moment| at.tick.wrapping_add(self.fill() as u64));
        for place in set.places {
            let seen = place.get();
            if is_too_far(seen, &refused) {
                let at = self.at(clock());
                let next = place::used(place::print(seen), empty(&at), self.generation);
                let _ = is_too_far(seen, &at).then(|| place.swap_if(seen, next));
            }
        }
        let seen = set.stamp.get();
        if place::overflow_ahead(seen, refused.tick) > self.fill() {
            let at = self.at(clock());
            let next = place::with_overflow(place::stamp_of(seen), empty(&at));
            let _ = (place::overflow_ahead(seen, at.tick) > self.fill()).then(|| set.stamp.swap_if(seen, next));
        }
    }

    /// Fills the buckets of a set.
    pub(super) fn clear<W: Word, const P: usize>(&self, set: &Set<W, P>, now: u64) {
        let at = self.at(now);
        let stamp = place::stamp_of(set.stamp.get());
        if stamp != 0 {
            self.renew(set, &at, &Before { stamp, then: None, past: true });
        }
    }

    /// How many keys of a set have used tokens.
    pub(super) fn live<W: Word, const P: usize>(&self, set: &Set<W, P>, now: u64) -> u64 {
        let at = self.at(now);
        let past =
            self.before(place::stamp_of(set.stamp.get()), &at).is_ok_and(|before| before.is_some_and(|b| b.past));
        let live = |word: &&W| !past && !self.idle(word.get(), &at);
        set.places.iter().filter(live).count() as u64
    }
}
