//! Keys with numbers of their own, and lists of keys that always or never pass.
//!
//! Up to 64 keys, found by their hash in a sorted array behind a filter that lets one other key in eight through. Each limited one
//! has a token bucket's word of its own, which it keeps from one version of the rule to the next.

use super::Refusal;
use crate::rate::token_bucket::{self, Bucket};
use crate::word::{Word, update};

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

/// A key with numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key's hash.
    pub hash: u64,
    /// What holds for it.
    pub what: Override,
    /// Its word: below 64.
    pub place: u8,
    /// Its numbers before their last change.
    pub before: Option<Bucket>,
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

    /// The overrides by the hashes of their keys, following `before`: keys that are limited in both keep their words, and those of
    /// which nothing changed all that they are. None: more than 64, or a key twice.
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
            let known = before.find(hash);
            let place = kept(hash).unwrap_or(taken.trailing_ones() as u8);
            taken |= bit(place);
            let changed = Entry { hash, what, place, before: known.and_then(Entry::bucket) };
            made.add(index, known.filter(|known| known.what == what).copied().unwrap_or(changed));
        }
        Some(made)
    }

    /// The same overrides from [`Overrides::entries`]; beyond 64 they are left out.
    pub fn of(entries: &[Entry]) -> Overrides {
        let mut made = Overrides::NONE;
        entries.iter().take(MAX_OVERRIDES).enumerate().for_each(|(index, &entry)| made.add(index, entry));
        made
    }

    /// All of them, by their hashes.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    fn add(&mut self, index: usize, entry: Entry) {
        let (word, bit) = filter(entry.hash);
        self.filter[word] |= bit;
        self.hashes[index] = entry.hash;
        self.entries[index] = Some(entry);
    }

    /// Makes all words ones of these numbers, and empties those that are nobody's. For whoever puts them in force: who comes later
    /// finds only words that it understands.
    pub(super) fn bring_over<W: Word>(&self, own: &[W], now: u64) {
        let owner = |place: usize| self.entries().find(|entry| usize::from(entry.place) == place);
        for (place, word) in own.iter().enumerate() {
            match owner(place).and_then(|entry| Some((entry, entry.bucket()?))) {
                Some((entry, bucket)) if entry.bring_over(&bucket, word, now).is_ok() => {}
                _ => empty(word),
            }
        }
    }

    /// See [`super::Keyed::settle`].
    pub(super) fn settle<W: Word>(&self, own: &[W], hash: u64, clock: impl Fn() -> u64) {
        let Some(entry) = self.find(hash) else { return };
        if let (Some(bucket), Some(word)) = (entry.bucket(), own.get(usize::from(entry.place))) {
            bucket.rebase(word, clock);
        }
    }

    /// Mends the word of a key: of numbers that seem later, or further ahead than it can be, because time went back.
    pub(super) fn rebase<W: Word>(&self, own: &[W], hash: u64, clock: impl Fn() -> u64) {
        let Some(entry) = self.find(hash) else { return };
        if let (Some(bucket), Some(word)) = (entry.bucket(), own.get(usize::from(entry.place))) {
            match entry.bring_over(&bucket, word, clock()) {
                Ok(()) => bucket.rebase(word, clock),
                Err(_) => empty(word),
            }
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64) -> Option<&Entry> {
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
    /// The bucket of a limited key.
    pub fn bucket(&self) -> Option<Bucket> {
        if let Override::Limit(bucket) = self.what { Some(bucket) } else { None }
    }

    /// Makes a word of the numbers before one of these: with the tokens that it has. Stale: it is of others; later ones, or whoever put
    /// these in force died before it could bring the words over, which [`Overrides::rebase`] mends.
    fn bring_over<W: Word>(&self, bucket: &Bucket, word: &W, now: u64) -> Result<(), Refusal> {
        loop {
            let seen = word.get();
            if bucket.owns(seen) {
                return Ok(());
            }
            let known = self.before.filter(|before| before.owns(seen)).ok_or(Refusal::Stale)?;
            let next = bucket.rescale(&known, seen, now);
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

/// A word of nobody is zero: whoever gets it begins with a full bucket.
fn empty<W: Word>(word: &W) {
    let _ = update(word, |seen| if seen == 0 { Err(()) } else { Ok((0, ())) });
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
    fn whoever_puts_numbers_in_force_leaves_no_word_of_others() {
        let (own, listed) = (words(), |generation, burst| [(mix(1), limit(burst, generation)), (mix(2), limit(5, 1))]);
        let first = Overrides::new(&listed(1, 10), &Overrides::NONE).unwrap();
        assert_eq!(first.take(&own, mix(1), 0, 4), Some(Ok(())));
        assert_eq!(first.take(&own, mix(2), 0, 4), Some(Ok(())));
        let mut rule = first;
        // Twelve changes of which nobody takes notice by calling.
        for generation in 2..14 {
            rule = Overrides::new(&listed(generation, 10 + generation), &rule).unwrap();
            assert_eq!(Overrides::of(&rule.entries().copied().collect::<Vec<_>>()).entries, rule.entries);
            rule.bring_over(&own, 0);
        }
        let left =
            |rule: &Overrides, key| (0..100).take_while(|_| rule.take(&own, mix(key), 0, 1) == Some(Ok(()))).count();
        assert_eq!((left(&rule, 1), left(&rule, 2)), (6, 1), "the tokens that they had");
        let none = Overrides::new(&[], &rule).unwrap();
        none.bring_over(&own, 0);
        let again = Overrides::new(&listed(3, 10), &none).unwrap();
        assert_eq!((left(&again, 1), left(&again, 2)), (10, 5));
    }

    #[test]
    fn a_word_of_the_future_is_mended() {
        let own = words();
        let later = Overrides::new(&[(mix(1), limit(10, 5))], &Overrides::NONE).unwrap();
        assert_eq!(later.take(&own, mix(1), 900 * SECOND, 10), Some(Ok(())));
        let now = Overrides::new(&[(mix(1), limit(10, 4))], &Overrides::NONE).unwrap();
        assert_eq!(now.take(&own, mix(1), 0, 1), Some(Err(Refusal::Stale)));
        now.rebase(&own, mix(1), || 0);
        assert_eq!(now.take(&own, mix(1), 0, 10), Some(Ok(())));
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
        new.bring_over(&own, 0);
        let left = |key| (0..100).take_while(|_| new.take(&own, mix(key), 0, 1) == Some(Ok(()))).count();
        assert_eq!((left(1), left(3), left(4)), (7, 10, 0), "the tokens that it had; a full bucket; none");
        assert_eq!(new.take(&own, mix(2), 0, 1), None);
        assert_eq!(old.take(&own, mix(1), 0, 1), Some(Err(Refusal::Stale)));
        new.give_back(&own, mix(1), 0, 2);
        assert_eq!(left(1), 2);
    }
}
