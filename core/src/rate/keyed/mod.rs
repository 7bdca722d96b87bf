//! A rate limit for each key (a tenant, an address, a parameter) in memory of a fixed size.
//!
//! Each key has a token bucket as GCRA (see [`super::token_bucket`]) in one word of 64 bits, in a set of 14 that its hash chooses.
//! A key whose bucket is full needs no word, so its place goes to whoever needs one, and nothing is forgotten: a
//! flood of new keys cannot make a limited key forget what it has used. When all keys of a set need their words, the
//! rule says what becomes of one more ([`OnFull`]); this happens to 0.08 % of the keys when as many are live as the
//! table was made for. A key is live from its call until its bucket is full again.
//!
//! Two keys of a set with equal fingerprints (28 bits) share a bucket: one key in 40 million.
//!
//! ```text
//! hash ─ highest bits: the set ─ lowest 28: the fingerprint ─ 8 between: where to look first
//! set:  stamp and overflow bucket | claim | 14 places                        (2 cache lines)
//! ```
//!
//! `place` says what the words hold, `set` how a key comes in, `numbers` what a call does, `refresh` how a
//! set follows time and changes of its rule, `pace` how exact it all is.

mod hottest;
mod numbers;
mod overrides;
mod pace;
mod place;
mod refresh;
mod set;
mod sip;
mod table;
#[cfg(test)]
mod tests;

pub use hottest::{Hot, NAME_BYTES};
pub use numbers::{Known, Numbers, REMEMBERED, Source};
pub use overrides::{Entry, MAX_OVERRIDES, Override, Overrides};
pub use pace::Pace;
pub use set::Set;
pub use sip::Seed;
pub use table::{Key, PLACES, Shape, Table};

use crate::rate::Rate;
use crate::word::Word;

/// One admitted call in so many counts for the hottest keys.
const SAMPLE_BITS: u32 = 4;

/// What becomes of a key that finds no place, because all keys of its set have used tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It shares a bucket of the same numbers with the others that found none in this set.
    #[default]
    Shared,
    /// Its calls are refused.
    Refuse,
    /// Its calls pass uncounted.
    Allow,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too few tokens.
    Empty {
        /// There will be enough after so many nanoseconds.
        wait_ns: u64,
        /// In the bucket of those that found no place.
        shared: bool,
    },
    /// The cost exceeds the burst, so there never will be enough.
    Never,
    /// No place for the key, and the rule refuses such.
    Full,
    /// The key is on the list of those that never pass.
    Denied,
    /// The memory is of later numbers or of a later time: load the rule and read the clock again. If that does not
    /// help, time has gone back or nobody has called for years: [`Keyed::rebase`].
    Stale,
}

/// What a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Tokens of the bucket of its key; or, when the set was full, of the shared one or of none.
    FromTable(Source),
    /// Tokens of a bucket outside the table; of a key that always passes none.
    Override,
}

/// A keyed limit, ready for decisions. Immutable.
#[derive(Clone, Copy, Debug)]
pub struct Keyed {
    numbers: Numbers,
    overrides: Overrides,
}

impl Keyed {
    /// The limit of these numbers, with keys that have others.
    pub fn new(numbers: Numbers, overrides: Overrides) -> Keyed {
        Keyed { numbers, overrides }
    }

    /// The numbers, for those that follow them.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The keys with numbers of their own, for those that follow them.
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The most tokens that a call of a key can take.
    pub fn most(&self, key: &Key<'_>) -> u64 {
        match self.overrides.find(key.hash) {
            Some(entry) => entry.bucket().map_or(u64::MAX, |bucket| Rate::TokenBucket(bucket).most()),
            None => self.numbers.pace.burst(),
        }
    }

    /// Takes `cost` tokens of a key at `now` (ns), or says why not. A cost of 0 always passes, unless the key never does.
    /// **Hot.**
    #[inline]
    pub fn take<W: Word>(&self, table: &Table<W>, key: &Key<'_>, now: u64, cost: u64) -> Result<Taken, Refusal> {
        let (answer, dice) = self.decide(table, key, now, cost);
        match answer {
            Ok(_) => count_sampled(table, key, dice, now),
            Err(Refusal::Stale) => {}
            Err(_) => table.hottest.count(key, 1, now ^ key.hash, now),
        }
        answer
    }

    /// Takes one token of a key that has a bucket of its own and enough in it, as it mostly is. False: nothing was done, and
    /// [`Keyed::take`] knows what to do. **Hot.**
    #[inline]
    pub fn takes_at_once<W: Word>(&self, table: &Table<W>, key: &Key<'_>, now: u64) -> bool {
        if self.overrides.find(key.hash).is_some() {
            return false;
        }
        let left = self.numbers.take_one(&table.set(key.hash), Known::of(key.hash, PLACES), now);
        if let Some(dice) = left {
            count_sampled(table, key, dice, now);
        }
        left.is_some()
    }

    /// The decision, and a number that differs from call to call.
    #[inline(always)]
    fn decide<W: Word>(&self, table: &Table<W>, key: &Key<'_>, now: u64, cost: u64) -> (Result<Taken, Refusal>, u64) {
        if let Some(answer) = self.overrides.take(table.own, key.hash, now, cost) {
            return (answer.map(|()| Taken::Override), now ^ key.hash);
        }
        match self.numbers.take(&table.set(key.hash), Known::of(key.hash, PLACES), now, cost) {
            Ok((source, word)) => (Ok(Taken::FromTable(source)), word),
            Err(refusal) => (Err(refusal), 0),
        }
    }

    /// Gives back what a call took and did not use. Tokens of earlier numbers are not given back.
    pub fn give_back<W: Word>(&self, table: &Table<W>, key: &Key<'_>, now: u64, cost: u64, taken: Taken) {
        match taken {
            Taken::Override => self.overrides.give_back(table.own, key.hash, now, cost),
            Taken::FromTable(source) => {
                let known = Known::of(key.hash, PLACES);
                self.numbers.give_back(&table.set(key.hash), known, now, cost, source);
            }
        }
    }

    /// The whole tokens that a key of the table has left. Takes nothing.
    pub fn left<W: Word>(&self, table: &Table<W>, key: &Key<'_>, now: u64) -> Result<u64, Refusal> {
        let used = self.numbers.used(&table.set(key.hash), Known::of(key.hash, PLACES), now)?;
        Ok(self.numbers.pace.tokens(self.numbers.fill() - used))
    }

    /// In how many nanoseconds a key of the table will have `cost` tokens, if nobody takes any. Takes nothing.
    pub fn retry_after<W: Word>(&self, table: &Table<W>, key: &Key<'_>, now: u64, cost: u64) -> Result<u64, Refusal> {
        let used = self.numbers.used(&table.set(key.hash), Known::of(key.hash, PLACES), now)?;
        let missing = used + self.numbers.pace.cost(cost).ok_or(Refusal::Never)? - self.numbers.fill();
        Ok(if missing > 0 { self.numbers.pace.wait(missing) } else { 0 })
    }

    /// Brings the key's set to a time that has gone back, or to this rule: for [`Refusal::Stale`] that comes again
    /// with the rule just loaded and the clock just read. Where that tells too little, buckets are full: keys may
    /// use a burst again.
    pub fn rebase<W: Word>(&self, table: &Table<W>, key: &Key<'_>, clock: impl Fn() -> u64) {
        match self.overrides.find(key.hash) {
            Some(_) => self.overrides.rebase(table.own, key.hash, clock),
            None => self.numbers.rebase(&table.set(key.hash), clock),
        }
    }

    /// Brings what lies further ahead of `now` than a bucket can be, because time went back a little, to the time of `clock`, which is read
    /// after the word: it is empty then, and fills from there on. For a key that was refused at `now`. Words of other numbers stay as they are.
    pub fn settle<W: Word>(&self, table: &Table<W>, key: &Key<'_>, now: u64, clock: impl Fn() -> u64) {
        match self.overrides.find(key.hash) {
            Some(_) => self.overrides.settle(table.own, key.hash, clock),
            None => self.numbers.settle(&table.set(key.hash), now, clock),
        }
    }

    /// Makes the words of the keys that have numbers of their own ones of these numbers: for whoever puts them in force. **Cold.**
    pub fn bring_overrides_over<W: Word>(&self, table: &Table<W>, now: u64) {
        self.overrides.bring_over(table.own, now);
    }

    /// How many keys have used tokens and not got them back by now. **Cold**: reads the whole table, and changes
    /// nothing.
    pub fn live_keys<W: Word>(&self, table: &Table<W>, now: u64) -> u64 {
        table.sets().map(|set| self.numbers.live(&set, now)).sum()
    }

    /// About as many, by looking at no more than `most` sets: hashes choose them evenly. Of a smaller table it is exact. **Cold.**
    pub fn about_live_keys<W: Word>(&self, table: &Table<W>, now: u64, most: usize) -> u64 {
        let (stride, mut seen, mut live) = (table.sets().count().div_ceil(most.max(1)).max(1), 0u64, 0u64);
        for set in table.sets().step_by(stride) {
            (seen, live) = (seen + 1, live + self.numbers.live(&set, now));
        }
        if stride == 1 { live } else { live * table.sets().count() as u64 / seen.max(1) }
    }

    /// The keys that have called most by `now`, by a sample of the admitted calls and all that were refused; what was hot wears off
    /// within some ten seconds. **Cold.**
    pub fn hottest<W: Word>(&self, table: &Table<W>, now: u64) -> Vec<Hot> {
        table.hottest.wear_off(now);
        table.hottest.list()
    }

    /// Fills the buckets of all keys that have no numbers of their own. **Cold.**
    pub fn clear<W: Word>(&self, table: &Table<W>, now: u64) {
        table.sets().for_each(|set| self.numbers.clear(&set, now));
    }
}

/// Counts an admitted call for the hottest keys, if it is one of those.
#[inline(always)]
fn count_sampled<W: Word>(table: &Table<W>, key: &Key<'_>, dice: u64, now: u64) {
    if sampled(dice) {
        table.hottest.count(key, 1 << SAMPLE_BITS, dice, now);
    }
}

/// Whether a call counts for the hottest keys: no counter is shared for this, since no two calls leave the same word.
#[inline(always)]
fn sampled(dice: u64) -> bool {
    let product = u128::from(dice) * 0x9e37_79b9_7f4a_7c15;
    (product as u64 ^ (product >> 64) as u64) >> (64 - SAMPLE_BITS) == 0
}
