//! The rate stage's limits by key: each call has a key, and each key a bucket of its own.

use super::cell::MAX_RATES;
use super::enter::shadowed;
use super::extra::OVERFLOWED;
use super::handle::Guard;
use super::keyed_limit::KeyedLimit;
use super::taken::{Taken, Tokens};
use super::turned_away::Ended;
use super::{Call, Stage};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::Attribute;
use crate::rate::keyed::{self, Hot, Key, Refusal, Source};
use crate::rules::Mode;
use crate::slot::lane::Count;

/// In place of a wait, which no key is told: that a call took nothing; and what it would give back.
const NOTHING: (u64, u64) = (0, 0);
/// That it took of its key's own bucket.
pub(super) const OF_KEY: u64 = 1;

/// So often a call begins again before it takes what it finds in the table for wrong.
const MEND_AFTER: u64 = 4;

impl KeyedLimit<'_> {
    /// The key of a call, looked up; None: the limit has no table.
    #[inline(always)]
    pub(super) fn key_of<'c>(&self, call: &Call<'c>) -> Option<Key<'c>> {
        self.table().map(|table| table.key(self.name_of(call)))
    }

    /// Whom a call is for, by this limit: its attribute of that name, else its own key, else nobody.
    #[inline(always)]
    fn name_of<'c>(&self, call: &Call<'c>) -> &'c [u8] {
        let named = |attribute: &&Attribute<'_>| attribute.id == self.attribute();
        match call.attributes {
            [] => call.key,
            _ => call.seen_attributes().iter().find(named).map_or(call.key, |attribute| attribute.value),
        }
    }

    #[inline(never)]
    fn takes_one(&self, call: &Call<'_>, now: u64) -> bool {
        self.key_of(call).is_some_and(|key| self.takes_at_once(&key, now))
    }
}

impl Taken<'_> {
    /// Whether it was one token of its key's own bucket that the call had to take there, and it has it.
    #[inline(always)]
    pub(super) fn takes_key_at_once(&self, index: usize, call: &Call<'_>) -> bool {
        let words = self.numbers().rate(index);
        words.is_keyed() && words.mode() == Mode::Enforce && self.takes_one_of_key(index, call)
    }

    /// The same where that is the only limit ([`super::extra::Stages::BY_KEY`]).
    #[inline(always)]
    pub(super) fn takes_only_key_at_once(&self, call: &Call<'_>) -> bool {
        self.go.wait_ns == 0 && self.takes_one_of_key(0, call)
    }

    #[inline(always)]
    fn takes_one_of_key(&self, index: usize, call: &Call<'_>) -> bool {
        let limit = || self.guard.keyed_limit(self.numbers(), self.facts.tag(), index);
        self.costs_one_at(index) && limit().is_some_and(|limit| limit.takes_one(call, self.now))
    }

    /// Takes what the call costs of its key's bucket, and tells what to remember of it, and the cost. It has begun again `tries` times.
    #[inline(never)]
    pub(super) fn take_of_key(
        &self,
        index: usize,
        call: &Call<'_>,
        tries: u64,
    ) -> std::result::Result<(u64, u64), Ended> {
        let (guard, mode) = (self.guard, self.numbers().rate(index).mode());
        if mode == Mode::Off {
            return Ok(NOTHING);
        }
        let limit = guard.keyed_limit(self.numbers(), self.facts.tag(), index).ok_or(Ended::Again)?;
        let (Some(table), Some(key)) = (limit.table(), limit.key_of(call)) else { return Ok(NOTHING) };
        let most = || limit.keyed().most(&key);
        let cost = self.cost_at(index, most);
        let answer = limit.keyed().take(table, &key, self.now, cost);
        if overflowed(&answer) {
            self.count_overflow(index);
        }
        let retry_after_ns = match answer {
            Ok(_) if mode == Mode::Shadow => return Ok(NOTHING),
            Ok(taken) => return Ok((mark_of(taken), cost)),
            Err(Refusal::Stale) => {
                // Mostly it is our numbers that are old. If it is the table, again and again, it has to be mended: time went back, or
                // whoever put these numbers in force died on the way.
                if tries >= MEND_AFTER && guard.numbers().tag() == self.facts.tag() {
                    limit.keyed().rebase(table, &key, || guard.now());
                }
                return Err(Ended::Again);
            }
            Err(Refusal::Empty { wait_ns, .. }) => {
                limit.keyed().settle(table, &key, self.now, || guard.now());
                wait_ns
            }
            Err(Refusal::Full) => 0,
            Err(Refusal::Never | Refusal::Denied) => u64::MAX,
        };
        if mode == Mode::Shadow {
            shadowed(self.run, Stage::Rate);
            return Ok(NOTHING);
        }
        Err(Ended::Refused { stage: Stage::Rate, retry_after_ns, reason: index as u32 })
    }

    /// Gives back what the call took of buckets of its keys.
    #[cold]
    pub(super) fn give_keys_back(&self, tokens: &Tokens, call: &Call<'_>) {
        let passed = self.numbers().rate_count().min(tokens.limits);
        for (index, (&mark, &cost)) in tokens.waits.iter().zip(&tokens.costs).enumerate().take(passed) {
            let Some(taken) = taken_of(mark).filter(|_| self.numbers().rate(index).is_keyed()) else { continue };
            let Some(limit) = self.guard.keyed_limit(self.numbers(), self.facts.tag(), index) else { continue };
            if let (Some(table), Some(key)) = (limit.table(), limit.key_of(call)) {
                limit.keyed().give_back(table, &key, self.guard.now(), cost, taken);
            }
        }
    }

    fn count_overflow(&self, index: usize) {
        if let Some(second) = self.facts.further().and_then(|further| further.second) {
            second.add(OVERFLOWED + index % MAX_RATES, 1);
        }
    }
}

/// Whether a key found no place.
fn overflowed(answer: &std::result::Result<keyed::Taken, Refusal>) -> bool {
    use keyed::Taken::FromTable;
    let shared = matches!(answer, Ok(FromTable(Source::Shared | Source::Uncounted)));
    shared || matches!(answer, Err(Refusal::Full | Refusal::Empty { shared: true, .. }))
}

fn mark_of(taken: keyed::Taken) -> u64 {
    match taken {
        keyed::Taken::FromTable(Source::Uncounted) => NOTHING.0,
        keyed::Taken::FromTable(Source::Key) => OF_KEY,
        keyed::Taken::FromTable(Source::Shared) => 2,
        keyed::Taken::Override => 3,
    }
}

fn taken_of(mark: u64) -> Option<keyed::Taken> {
    match mark {
        OF_KEY => Some(keyed::Taken::FromTable(Source::Key)),
        2 => Some(keyed::Taken::FromTable(Source::Shared)),
        3 => Some(keyed::Taken::Override),
        _ => None,
    }
}

impl Guard {
    /// The keys that call most at a rate limit, those with the highest count first. Of admitted calls one in sixteen is looked at, of
    /// refused ones each. Every ten seconds the counts are halved. **Cold.**
    ///
    /// # Errors
    /// The guard is gone, or has no limit by key of this index.
    pub fn hottest(&'static self, index: usize) -> Result<Vec<Hot>> {
        self.with_keys(index, |limit, guard| {
            limit.table().map_or_else(Vec::new, |table| limit.keyed().hottest(table, guard.now()))
        })
    }

    /// About how many keys of a rate limit have used tokens and not got them back by now: exact up to 26 000 keys, beyond by a sample.
    /// **Cold.**
    ///
    /// # Errors
    /// As of [`Guard::hottest`].
    pub fn live_keys(&'static self, index: usize) -> Result<u64> {
        self.with_keys(index, |limit, guard| limit.live_keys(guard.now()))
    }

    fn with_keys<T>(&'static self, index: usize, then: impl FnOnce(&KeyedLimit<'_>, &Guard) -> T) -> Result<T> {
        self.alive()?;
        for _ in 0..16 {
            let numbers = self.numbers();
            if let Some(limit) = self.keyed_limit(numbers, numbers.tag(), index) {
                return Ok(then(limit, self));
            }
            if index >= numbers.rate_count() || !numbers.rate(index).is_keyed() {
                break;
            }
        }
        Err(Error::new(ErrorKind::NotFound, format!("rate[{index}] of this guard is no limit by key")))
    }
}
