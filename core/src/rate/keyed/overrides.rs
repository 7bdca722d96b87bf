//! Keys with numbers of their own, and lists of keys that always or never pass.
//!
//! Up to 64 keys, found by their hash in a sorted array behind a filter that lets one other key in eight through. Each limited one
//! has a token bucket's word of its own, which it keeps from one version of the rule to the next.

use super::Refusal;
use super::place;
use crate::rate::token_bucket::{self, Bucket};
use crate::word::Word;

/// The most keys with numbers of their own.
pub const MAX_OVERRIDES: usize = 64;

/// What holds for one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Override {
    /// It never passes.
    Deny,
    /// It always passes.
    Allow,
    /// A limit of its own.
    Limit(Bucket),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    what: Override,
    /// Its word.
    place: u8,
    /// Its numbers in the version of the rule before.
    before: Option<Bucket>,
}

/// The keys of a rule with numbers of their own.
#[derive(Clone, Copy, Debug)]
pub struct Overrides {
    filter: [u64; 8],
    /// Sorted; beyond the entries the largest number.
    hashes: [u64; MAX_OVERRIDES],
    entries: [Option<Entry>; MAX_OVERRIDES],
}

impl Overrides {
    /// No key is special.
    pub const NONE: Overrides =
        Overrides { filter: [0; 8], hashes: [u64::MAX; MAX_OVERRIDES], entries: [None; MAX_OVERRIDES] };

    /// The overrides by the hashes of their keys, following `before`: keys that are limited in both keep their words. None:
    /// more than 64, or a key twice.
    pub fn new(list: &[(u64, Override)], before: &Overrides) -> Option<Overrides> {
        let mut list = list.to_vec();
        list.sort_by_key(|&(hash, _)| hash);
        if list.len() > MAX_OVERRIDES || !list.is_sorted_by(|a, b| a.0 < b.0) {
            return None;
        }
        let mut made = Overrides::NONE;
        let kept = |hash: u64| before.find(hash).map(|entry| entry.place);
        let mut taken = list.iter().filter_map(|&(hash, _)| kept(hash)).fold(0u64, |taken, place| taken | bit(place));
        for (index, &(hash, what)) in list.iter().enumerate() {
            let place = kept(hash).unwrap_or(taken.trailing_ones() as u8);
            taken |= bit(place);
            made.add(index, hash, Entry { what, place, before: before.find(hash).and_then(Entry::bucket) });
        }
        Some(made)
    }

    fn add(&mut self, index: usize, hash: u64, entry: Entry) {
        let (word, bit) = filter(hash);
        self.filter[word] |= bit;
        self.hashes[index] = hash;
        self.entries[index] = Some(entry);
    }

    #[inline(always)]
    fn find(&self, hash: u64) -> Option<&Entry> {
        let (word, bit) = filter(hash);
        if self.filter.get(word)? & bit == 0 {
            return None;
        }
        let index = self.hashes.binary_search(&hash).ok()?;
        self.entries.get(index)?.as_ref()
    }

    /// What holds for a key, and its word among `own`; None: nothing in particular. **Hot.**
    #[inline(always)]
    pub(super) fn take<W: Word>(&self, own: &[W], hash: u64, now: u64, cost: u64) -> Option<Result<(), Refusal>> {
        let entry = self.find(hash)?;
        Some(match entry.what {
            Override::Deny => Err(Refusal::Denied),
            Override::Allow => Ok(()),
            Override::Limit(bucket) => own.get(usize::from(entry.place)).map_or(Ok(()), |word| {
                entry.bring_over(&bucket, word, now)?;
                bucket.take(word, now, cost).map_err(Refusal::of_bucket)
            }),
        })
    }

    /// Gives back what a key took of its own bucket.
    pub(super) fn give_back<W: Word>(&self, own: &[W], hash: u64, now: u64, cost: u64) {
        let Some(entry) = self.find(hash) else { return };
        if let (Some(bucket), Some(word)) = (entry.bucket(), own.get(usize::from(entry.place))) {
            bucket.give_back(word, now, cost);
        }
    }
}

impl Entry {
    fn bucket(&self) -> Option<Bucket> {
        if let Override::Limit(bucket) = self.what { Some(bucket) } else { None }
    }

    /// Makes a word of earlier numbers one of these: with the tokens that it has; full, if it was another key's.
    fn bring_over<W: Word>(&self, bucket: &Bucket, word: &W, now: u64) -> Result<(), Refusal> {
        loop {
            let seen = word.get();
            if bucket.owns(seen) {
                return Ok(());
            }
            let generation = place::generation(seen);
            if place::is_newer(generation, bucket.generation) {
                return Err(Refusal::Stale);
            }
            let known = self.before.filter(|before| before.generation == generation);
            let next = known.map_or(0, |before| bucket.rescale(&before, seen, now));
            if word.swap_if(seen, next).is_ok() {
                return Ok(());
            }
        }
    }
}

impl Refusal {
    fn of_bucket(refusal: token_bucket::Refusal) -> Refusal {
        match refusal {
            token_bucket::Refusal::Empty(wait_ns) => Refusal::Empty { wait_ns, shared: false },
            token_bucket::Refusal::Never => Refusal::Never,
            token_bucket::Refusal::Stale => Refusal::Stale,
        }
    }
}

fn bit(place: u8) -> u64 {
    1 << (place & 63)
}

/// Which bit of the filter a hash has.
#[inline(always)]
fn filter(hash: u64) -> (usize, u64) {
    ((hash >> 6 & 7) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::mix;
    use std::sync::atomic::AtomicU64;

    const SECOND: u64 = 1_000_000_000;

    fn limit(burst: u64, generation: u64) -> Override {
        Override::Limit(Bucket::new(1000.0, SECOND, burst, generation).unwrap())
    }

    fn words() -> Vec<AtomicU64> {
        (0..MAX_OVERRIDES).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn finds_each_of_sixty_four_and_nobody_else() {
        let list: Vec<_> = (0..64).map(|n| (mix(n), limit(n + 1, 1))).collect();
        let (rule, own) = (Overrides::new(&list, &Overrides::NONE).unwrap(), words());
        for n in 0..64 {
            let taken = (0..100).take_while(|_| rule.take(&own, mix(n), 0, 1).unwrap().is_ok()).count() as u64;
            assert_eq!(taken, n + 1);
        }
        assert!((64..10_000).all(|n| rule.take(&own, mix(n), 0, 1).is_none()));
        assert!(Overrides::NONE.take(&own, u64::MAX, 0, 1).is_none());
    }

    #[test]
    fn refuses_too_many_and_the_same_twice() {
        let list: Vec<_> = (0..65).map(|n| (mix(n), Override::Deny)).collect();
        assert!(Overrides::new(&list, &Overrides::NONE).is_none());
        assert!(Overrides::new(&[list[0], list[0]], &Overrides::NONE).is_none());
    }

    #[test]
    fn a_key_keeps_its_word_when_others_come_and_go() {
        let own = words();
        let old = Overrides::new(&[(mix(1), limit(10, 1)), (mix(2), limit(10, 1))], &Overrides::NONE).unwrap();
        for key in [1, 1, 1, 2] {
            assert_eq!(old.take(&own, mix(key), 0, 1), Some(Ok(())));
        }
        let list = [(mix(3), limit(10, 2)), (mix(1), limit(20, 2)), (mix(4), Override::Deny)];
        let new = Overrides::new(&list, &old).unwrap();
        let left = |key| (0..100).take_while(|_| new.take(&own, mix(key), 0, 1) == Some(Ok(()))).count();
        assert_eq!((left(1), left(3), left(4)), (7, 10, 0), "the tokens that it had; a full bucket; none");
        assert_eq!(new.take(&own, mix(2), 0, 1), None);
        assert_eq!(old.take(&own, mix(1), 0, 1), Some(Err(Refusal::Stale)));
        new.give_back(&own, mix(1), 0, 2);
        assert_eq!(left(1), 2);
    }
}
