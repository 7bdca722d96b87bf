//! What a call does to the words of its key's set.

use super::pace::{Pace, Ticking};
use super::place;
use super::set::{ROUNDS, Set};
use super::{OnFull, Refusal};
use crate::word::{Word, update, update_from};

/// How many changes of a rule ago words may be and still be understood.
pub const REMEMBERED: usize = 7;

/// The limit of each key, ready for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    pub(super) pace: Pace,
    pub(super) generation: u64,
    /// Earlier numbers, the latest first.
    earlier: [Ticking; REMEMBERED],
    on_full: OnFull,
}

/// A key as its set knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub(super) print: u64,
    pub(super) home: usize,
}

/// A reading of the clock.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub ns: u64,
    pub tick: u64,
}

/// Which bucket a call took from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The key's own.
    Key,
    /// The one that the keys of a full set share.
    Shared,
    /// None: the call costs nothing; or the set was full, and the rule lets such calls pass.
    Uncounted,
}

impl Known {
    /// The key of a hash, in a set of `places`.
    #[inline(always)]
    pub fn of(hash: u64, places: usize) -> Known {
        Known { print: place::print_of_hash(hash), home: place::home(hash, places) }
    }
}

impl Numbers {
    /// The first numbers of a rule. None when `generation` is not one of 1 to 15.
    pub fn new(pace: Pace, on_full: OnFull, generation: u64) -> Option<Numbers> {
        let earlier = [Ticking::UNKNOWN; REMEMBERED];
        (1..=15).contains(&generation).then_some(Numbers { pace, generation, earlier, on_full })
    }

    /// The numbers of a generation with those before them, the latest first. None when `generation` is not one of 1 to 15.
    pub fn with_earlier(
        pace: Pace,
        on_full: OnFull,
        generation: u64,
        earlier: [Option<Pace>; REMEMBERED],
    ) -> Option<Numbers> {
        let numbers = Numbers::new(pace, on_full, generation)?;
        Some(Numbers { earlier: earlier.map(|pace| pace.map_or(Ticking::UNKNOWN, |pace| pace.ticking)), ..numbers })
    }

    /// The numbers that follow these: keys keep the share of the burst that they have used.
    pub fn followed_by(&self, pace: Pace, on_full: OnFull) -> Numbers {
        let mut earlier = self.earlier;
        earlier.rotate_right(1);
        earlier[0] = self.pace.ticking;
        Numbers { pace, generation: self.generation % 15 + 1, earlier, on_full }
    }

    /// Takes `cost` tokens of a key at `now` (ns); also tells the word that it left, which differs from call to
    /// call. **Hot.**
    #[inline(always)]
    pub fn take<W: Word, const P: usize>(
        &self,
        set: &Set<W, P>,
        key: Known,
        now: u64,
        cost: u64,
    ) -> Result<(Source, u64), Refusal> {
        let at = self.at(now);
        let cost = match self.pace.cost(cost) {
            Some(0) => return Ok((Source::Uncounted, at.tick)),
            cost => cost.ok_or(Refusal::Never)?,
        };
        for _ in 0..ROUNDS {
            self.refresh(set, &at)?;
            let insert = || set.insert(key.print, key.home, |word| self.holds(set, &at) && self.idle(word, &at));
            let Some(place) = set.find(key.print, key.home).or_else(insert) else {
                if self.holds(set, &at) {
                    break;
                }
                // The set is of another time by now, so that it cannot be told whose buckets are full.
                continue;
            };
            match update(place, |seen| self.spend(seen, set, key, &at, cost)) {
                Ok(word) => return Ok((Source::Key, word)),
                Err(Some(refusal)) => return Err(refusal),
                // Its bucket was full, and another key has the place now; or the set is of another time.
                Err(None) => {}
            }
        }
        self.without_place(set, &at, cost)
    }

    /// Takes one token of a key that is there, of a set that needs no tidying; tells the word that it left, which
    /// differs from call to call. None: nothing was done. **Hot.**
    #[inline(always)]
    pub fn take_one<W: Word, const P: usize>(&self, set: &Set<W, P>, key: Known, now: u64) -> Option<u64> {
        let (at, cost) = (self.at(now), self.pace.one());
        let (place, seen) = set.find_word(key.print, key.home)?;
        update_from(place, seen, |seen| self.spend(seen, set, key, &at, cost)).ok()
    }

    /// Gives `cost` tokens back to where they came from. Words of other numbers, and full buckets, stay as they are.
    pub fn give_back<W: Word, const P: usize>(&self, set: &Set<W, P>, key: Known, now: u64, cost: u64, from: Source) {
        let (at, cost) = (self.at(now), self.pace.cost(cost).unwrap_or(0));
        match from {
            _ if self.refresh(set, &at).is_err() => {}
            Source::Uncounted => {}
            // An error is a bucket that is full, or of other numbers.
            Source::Shared => {
                let _ = update(set.stamp, |seen| self.unspend_shared(seen, &at, cost));
            }
            Source::Key => {
                let place = set.find(key.print, key.home);
                let _ = place.map(|place| update(place, |seen| self.unspend(seen, set, key, &at, cost)));
            }
        }
    }

    /// The ticks of its bucket that a key has used. Changes nothing.
    pub(super) fn used<W: Word, const P: usize>(&self, set: &Set<W, P>, key: Known, now: u64) -> Result<i32, Refusal> {
        let at = self.at(now);
        self.refresh(set, &at)?;
        let Some(place) = set.find(key.print, key.home) else { return Ok(0) };
        let word = place.get();
        if place::print(word) != key.print {
            return Ok(0);
        }
        Ok(self.ahead(word, &at)?.clamp(0, self.fill()))
    }

    pub(super) fn at(&self, now: u64) -> Moment {
        Moment { ns: now, tick: self.pace.ticking.tick(now) }
    }

    pub(super) fn fill(&self) -> i32 {
        self.pace.ticking.fill as i32
    }

    /// The word after taking `cost`; Err(None): it is not this key's, or of a set that is not of this moment.
    #[inline(always)]
    fn spend<W: Word, const P: usize>(
        &self,
        seen: u64,
        set: &Set<W, P>,
        key: Known,
        at: &Moment,
        cost: i32,
    ) -> Result<(u64, u64), Option<Refusal>> {
        if place::print(seen) != key.print || !self.holds(set, at) {
            return Err(None);
        }
        let used = self.after(self.ahead(seen, at)?, cost).map_err(|wait| self.empty(wait, false))?;
        let next = place::used(key.print, at.tick.wrapping_add(used as u64), self.generation);
        Ok((next, next))
    }

    /// Ticks used after `cost` more, or how many ticks are missing. A word that lies further ahead than a bucket can be
    /// was written by a thread with a later reading of the clock: the bucket is empty.
    #[inline(always)]
    fn after(&self, ahead: i32, cost: i32) -> Result<i32, i32> {
        // Not clamped, which would make sure that a bucket is not less than empty.
        let next = ahead.max(0).min(self.fill()) + cost;
        if next > self.fill() { Err(next - self.fill()) } else { Ok(next) }
    }

    /// The word after giving `cost` back; Err: there is nothing to give back to.
    fn unspend<W: Word, const P: usize>(
        &self,
        seen: u64,
        set: &Set<W, P>,
        key: Known,
        at: &Moment,
        cost: i32,
    ) -> Result<(u64, ()), ()> {
        let ours = place::print(seen) == key.print && place::generation(seen) == self.generation && self.holds(set, at);
        let full_at = left_full_at(ours.then(|| place::ahead(seen, at.tick)), at, cost)?;
        Ok((place::used(key.print, full_at, self.generation), ()))
    }

    /// What becomes of a call whose key has no place.
    #[cold]
    fn without_place<W: Word, const P: usize>(
        &self,
        set: &Set<W, P>,
        at: &Moment,
        cost: i32,
    ) -> Result<(Source, u64), Refusal> {
        match self.on_full {
            OnFull::Allow => Ok((Source::Uncounted, at.tick)),
            OnFull::Refuse => Err(Refusal::Full),
            OnFull::Shared => update(set.stamp, |seen| {
                if !self.understands(place::stamp_of(seen), at) {
                    return Err(Refusal::Stale);
                }
                let ahead = place::overflow_ahead(seen, at.tick);
                let used = self.after(ahead, cost).map_err(|wait| self.empty(wait, true))?;
                let next = place::with_overflow(place::stamp_of(seen), at.tick.wrapping_add(used as u64));
                Ok((next, (Source::Shared, next)))
            }),
        }
    }

    fn unspend_shared(&self, seen: u64, at: &Moment, cost: i32) -> Result<(u64, ()), ()> {
        let stamp = place::stamp_of(seen);
        let ours = self.understands(stamp, at);
        let full_at = left_full_at(ours.then(|| place::overflow_ahead(seen, at.tick)), at, cost)?;
        Ok((place::with_overflow(stamp, full_at), ()))
    }

    /// How far a key's word lies ahead, in ticks of these numbers.
    #[inline(always)]
    pub(super) fn ahead(&self, word: u64, at: &Moment) -> Result<i32, Refusal> {
        if place::generation(word) == self.generation {
            return Ok(place::ahead(word, at.tick));
        }
        self.carried_over(word, at)
    }

    /// The same for a word of other numbers: its used share of the burst.
    #[cold]
    fn carried_over(&self, word: u64, at: &Moment) -> Result<i32, Refusal> {
        if place::generation(word) == 0 {
            return Ok(0);
        }
        let Some(then) = self.ticking_of(place::generation(word))? else { return Ok(0) };
        Ok(self.share(place::ahead(word, then.tick(at.ns)), &then))
    }

    /// As large a share of these numbers' bucket as `ahead` is of `then`'s, rounded up.
    pub(super) fn share(&self, ahead: i32, then: &Ticking) -> i32 {
        let used = u64::from(ahead.max(0) as u32).min(u64::from(then.fill));
        (used * u64::from(self.pace.ticking.fill)).div_ceil(u64::from(then.fill)) as i32
    }

    /// How time was counted in a generation; None: nobody knows any more. Stale: it is a later one.
    pub(super) fn ticking_of(&self, generation: u64) -> Result<Option<Ticking>, Refusal> {
        if place::is_newer(generation, self.generation) {
            return Err(Refusal::Stale);
        }
        let age = place::age(generation, self.generation) as usize;
        let then = age.checked_sub(1).map_or(Some(&self.pace.ticking), |index| self.earlier.get(index));
        Ok(then.copied().filter(Ticking::known))
    }

    /// Whether a key's bucket is full, so that another may have its place.
    pub(super) fn idle(&self, word: u64, at: &Moment) -> bool {
        self.ahead(word, at).is_ok_and(|ahead| ahead <= 0)
    }

    fn empty(&self, ticks: i32, shared: bool) -> Refusal {
        Refusal::Empty { wait_ns: self.pace.wait(ticks), shared }
    }
}

/// When a bucket that lies so far ahead is full after `cost` was given back: a tick is left at least, so that a word, once its bucket
/// was full, never comes again. Err: it is full, or none of ours.
fn left_full_at(ahead: Option<i32>, at: &Moment, cost: i32) -> Result<u64, ()> {
    let ahead = ahead.filter(|&ahead| ahead > 0).ok_or(())?;
    Ok(at.tick.wrapping_add((ahead - cost).max(1) as u64))
}
