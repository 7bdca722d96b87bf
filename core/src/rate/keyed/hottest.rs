//! The keys that call most: Space-Saving (Metwally, Agrawal, El Abbadi, 2005) over a sample of the calls.
//!
//! A head per entry: tag of the key's hash (24 bits) | count (40 bits), so that finding a key and counting it is one
//! swap. A key without an entry takes the one with the smallest count, and counts on from there; but only with the chance
//! of its weight in that count (randomised admission, Ben Basat, Chen, Einziger, Friedman, 2017), so that a flood of
//! keys that come once hardly writes. A count is too large by at most the smallest one that it began with, the entry's
//! error; too small by what the key called before it was let in. What an entry is called lies beside, with a checksum: a
//! reader skips a name that is half written, and the key's own next calls write it anew.
//!
//! Threads that bring the same key at once may make two entries of it, which the reader adds up.
//!
//! Every [`PERIOD_NS`] whoever comes first halves all counts, so that what was hot wears off: a count is about what the key called in
//! the last two periods.

use super::sip::Seed;
use super::table::Key;
use crate::hash::mix;
use crate::word::Word;

/// So many bytes of a key are remembered.
pub const NAME_BYTES: usize = 48;
const NAME_WORDS: usize = NAME_BYTES / 8;
/// Words of a name: checksum, hash, error and length, name.
const BODY: usize = 3 + NAME_WORDS;
const COUNT_BITS: u32 = 40;
/// An entry's number fits.
const ENTRY_BITS: u32 = 6;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
/// A counted key writes its name anew once in so many times.
const REWRITE: u64 = 32;
const TRIES: usize = 3;
/// How often counts are halved.
pub(super) const PERIOD_NS: u64 = 10_000_000_000;
/// After so many periods without a call nothing is left of any count.
const GONE: u64 = COUNT_BITS as u64;

/// The entries.
pub(super) struct Hottest<'a, W> {
    /// In which period counts were halved last.
    period: &'a W,
    heads: &'a [W],
    bodies: &'a [[W; BODY]],
    seed: Seed,
}

/// One of the keys that call most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hot {
    /// The first bytes of the key, no more than 48.
    pub name: Vec<u8>,
    /// The hash of the whole key.
    pub hash: u64,
    /// About how often it has called, refused calls included.
    pub count: u64,
    /// By how much the count may be too large, apart from the chance of sampling.
    pub error: u64,
}

impl<'a, W> Hottest<'a, W> {
    /// The words that so many entries need.
    pub fn words(entries: usize) -> usize {
        1 + entries * (1 + BODY)
    }

    /// So many entries on their words.
    pub fn new(words: &'a [W], entries: usize, seed: Seed) -> Option<Self> {
        let (period, rest) = words.split_first()?;
        let (heads, rest) = rest.split_at_checked(entries)?;
        let bodies = rest.as_chunks::<BODY>().0.get(..entries)?;
        Some(Hottest { period, heads, bodies, seed })
    }
}

impl<W: Word> Hottest<'_, W> {
    /// Counts `weight` calls of a key at `now` (ns); `dice` is random, or differs from call to call. **Hot.**
    #[inline(never)]
    pub fn count(&self, key: &Key<'_>, weight: u64, dice: u64, now: u64) {
        self.wear_off(now);
        // The smallest count so far, with its entry below it: one comparison, and no branch that cannot be foreseen.
        let mut least = u64::MAX;
        for (index, head) in self.heads.iter().enumerate() {
            let seen = head.get();
            if seen >> COUNT_BITS == tag(key.hash) {
                return self.add(index, key, seen, weight);
            }
            least = least.min((seen & COUNT) << ENTRY_BITS | index as u64);
        }
        if admits(least >> ENTRY_BITS, weight, dice) {
            self.replace((least & ((1 << ENTRY_BITS) - 1)) as usize, key, weight);
        }
    }

    /// A lost race loses a sample.
    fn add(&self, index: usize, key: &Key<'_>, seen: u64, weight: u64) {
        let (Some(head), Some(body)) = (self.heads.get(index), self.bodies.get(index)) else { return };
        let count = (seen & COUNT).saturating_add(weight).min(COUNT);
        let won = head.swap_if(seen, tag(key.hash) << COUNT_BITS | count).is_ok();
        if won && (body[1].get() != key.hash || mix(count).is_multiple_of(REWRITE)) {
            write(body, key, body[2].get() >> 8);
        }
    }

    fn replace(&self, index: usize, key: &Key<'_>, weight: u64) {
        let (Some(head), Some(body)) = (self.heads.get(index), self.bodies.get(index)) else { return };
        let seen = head.get();
        let error = seen & COUNT;
        let count = error.saturating_add(weight).min(COUNT);
        if head.swap_if(seen, tag(key.hash) << COUNT_BITS | count).is_ok() {
            write(body, key, error);
        }
    }

    /// The entries, those that call most first. **Cold.**
    pub fn list(&self) -> Vec<Hot> {
        let mut list: Vec<Hot> = Vec::new();
        for hot in self.heads.iter().zip(self.bodies).filter_map(|(head, body)| self.read(head, body)) {
            match list.iter_mut().find(|known| known.hash == hot.hash) {
                Some(known) => (known.count, known.error) = (known.count + hot.count, known.error + hot.error),
                None => list.push(hot),
            }
        }
        list.sort_by_key(|hot| std::cmp::Reverse(hot.count));
        list
    }

    fn read(&self, head: &W, body: &[W; BODY]) -> Option<Hot> {
        (0..TRIES).find_map(|_| {
            let seen = head.get();
            let words = body.each_ref().map(W::get);
            let [check, hash, about, name @ ..] = words;
            let count = seen & COUNT;
            let sound = check == checksum(hash, about, &name) && tag(hash) == seen >> COUNT_BITS && hash != 0;
            let hot = || self.named(hash, about, &name, count);
            (sound && count > 0).then(hot).flatten()
        })
    }

    /// A whole key must have the hash that stands beside it.
    fn named(&self, hash: u64, about: u64, name: &[u64; NAME_WORDS], count: u64) -> Option<Hot> {
        let len = (about & 0xff) as usize;
        let name: Vec<u8> = name.iter().flat_map(|word| word.to_le_bytes()).take(len).collect();
        let whole = len <= NAME_BYTES;
        (!whole || self.seed.hash(&name) == hash).then(|| Hot { name, hash, count, error: (about >> 8).min(count) })
    }

    /// Halves all counts once for each period that has begun since this was last done. A late thread's period is the one before.
    pub fn wear_off(&self, now: u64) {
        let (period, seen) = (now / PERIOD_NS, self.period.get());
        let since = period.wrapping_sub(seen);
        if since == 0 || since == u64::MAX || self.period.swap_if(seen, period).is_err() {
            return;
        }
        for (head, body) in self.heads.iter().zip(self.bodies) {
            halve(head, body, since.min(GONE) as u32);
        }
    }
}

/// So many times.
fn halve<W: Word>(head: &W, body: &[W; BODY], times: u32) {
    let seen = head.get();
    // Lost to a call that counts: then this one is halved the next time.
    if seen & COUNT == 0 || head.swap_if(seen, (seen & !COUNT) | ((seen & COUNT) >> times)).is_err() {
        return;
    }
    let about = body[2].get();
    let halved = (about >> 8 >> times) << 8 | about & 0xff;
    let name = name_of(body);
    set(&body[2], halved);
    set(&body[0], checksum(body[1].get(), halved, &name));
}

/// A longer key than is remembered has the length 49 here.
fn write<W: Word>(body: &[W; BODY], key: &Key<'_>, error: u64) {
    let mut bytes = [0u8; NAME_BYTES];
    bytes.iter_mut().zip(key.name).for_each(|(to, from)| *to = *from);
    let about = error << 8 | key.name.len().min(NAME_BYTES + 1) as u64;
    let name: [u64; NAME_WORDS] = words_of(&bytes);
    let [check, hash, beside, rest @ ..] = body;
    rest.iter().zip(name).for_each(|(word, value)| set(word, value));
    set(beside, about);
    set(hash, key.hash);
    set(check, checksum(key.hash, about, &name));
}

fn words_of(bytes: &[u8; NAME_BYTES]) -> [u64; NAME_WORDS] {
    let mut words = [0; NAME_WORDS];
    words.iter_mut().zip(bytes.as_chunks::<8>().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
    words
}

fn name_of<W: Word>(body: &[W; BODY]) -> [u64; NAME_WORDS] {
    let [_, _, _, name @ ..] = body;
    name.each_ref().map(W::get)
}

fn checksum(hash: u64, about: u64, name: &[u64; NAME_WORDS]) -> u64 {
    name.iter().fold(mix(hash ^ mix(about)), |sum, &word| mix(sum ^ word))
}

/// Whether a newcomer takes the entry with this count: with the chance weight / (count + weight).
fn admits(count: u64, weight: u64, dice: u64) -> bool {
    let below = u128::from(mix(dice)) * u128::from(count.saturating_add(weight));
    (below >> 64) < u128::from(weight)
}

/// The highest bits of a hash, never zero.
fn tag(hash: u64) -> u64 {
    (hash >> COUNT_BITS).max(1)
}

fn set<W: Word>(word: &W, value: u64) {
    let mut seen = word.get();
    while seen != value {
        match word.swap_if(seen, value) {
            Ok(()) => return,
            Err(now) => seen = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::*};

    const SEED: Seed = Seed { k0: 1, k1: 2 };

    fn memory(entries: usize) -> Vec<AtomicU64> {
        (0..Hottest::<AtomicU64>::words(entries)).map(|_| AtomicU64::new(0)).collect()
    }

    fn key(name: &str) -> Key<'_> {
        Key { name: name.as_bytes(), hash: SEED.hash(name.as_bytes()) }
    }

    #[test]
    fn counts_a_few_keys_exactly() {
        let words = memory(8);
        let hottest = Hottest::new(&words, 8, SEED).unwrap();
        for (name, times) in [("a", 3), ("bb", 50), ("", 7)] {
            (0..times).for_each(|_| hottest.count(&key(name), 2, 0, 0));
        }
        let list: Vec<_> = hottest.list().into_iter().map(|hot| (hot.name, hot.count, hot.error)).collect();
        assert_eq!(list, [(b"bb".to_vec(), 100, 0), (b"".to_vec(), 14, 0), (b"a".to_vec(), 6, 0)]);
        hottest.wear_off(PERIOD_NS);
        assert_eq!(hottest.list()[0].count, 50);
        hottest.wear_off(PERIOD_NS - 1);
        assert_eq!(hottest.list()[0].count, 50, "a late thread");
        hottest.wear_off(4 * PERIOD_NS);
        assert_eq!(hottest.list()[0].count, 6);
        hottest.wear_off(0);
        assert_eq!(hottest.list(), [], "time went back");
    }

    #[test]
    fn keeps_the_hot_among_many_cold_ones() {
        let words = memory(8);
        let hottest = Hottest::new(&words, 8, SEED).unwrap();
        for turn in 0..10_000 {
            hottest.count(&key(&format!("cold-{turn}")), 1, turn as u64, 0);
            hottest.count(&key(["hot", "warm", "hot"][turn % 3]), 1, !turn as u64, 0);
        }
        let list = hottest.list();
        assert_eq!((&list[0].name[..], &list[1].name[..]), (&b"hot"[..], &b"warm"[..]));
        assert!(
            list.iter()
                .take(2)
                .zip([6667, 3333])
                .all(|(hot, truth)| hot.count >= truth * 9 / 10 && hot.count - hot.error <= truth)
        );
    }

    #[test]
    fn a_long_key_is_known_by_its_beginning() {
        let words = memory(8);
        let hottest = Hottest::new(&words, 8, SEED).unwrap();
        let long = "x".repeat(100);
        hottest.count(&key(&long), 1, 0, 0);
        assert_eq!(hottest.list()[0].name, long.as_bytes()[..NAME_BYTES]);
    }

    #[test]
    fn a_torn_name_is_not_shown_and_heals() {
        let words = memory(8);
        let hottest = Hottest::new(&words, 8, SEED).unwrap();
        hottest.count(&key("tenant"), 1, 0, 0);
        words[1 + 8 + 3].store(77, Relaxed);
        assert_eq!(hottest.list(), []);
        (0..REWRITE * 10).for_each(|_| hottest.count(&key("tenant"), 1, 0, 0));
        assert_eq!(hottest.list()[0].name, b"tenant");
    }

    #[test]
    fn readers_never_see_a_name_that_is_nobodys() {
        let words = memory(8);
        let hottest = Hottest::new(&words, 8, SEED).unwrap();
        let names: Vec<String> = (0..100).map(|n| format!("{n}").repeat(1 + n % 24)).collect();
        std::thread::scope(|scope| {
            for start in 0..3 {
                let (hottest, names) = (&hottest, &names);
                scope.spawn(move || {
                    (0..20_000).for_each(|n| hottest.count(&key(&names[(n * 7 + start) % 100]), 1, n as u64, 0))
                });
            }
            for _ in 0..500 {
                assert!(hottest.list().iter().all(|hot| names.iter().any(|name| name.as_bytes() == hot.name)));
            }
        });
        assert!(!hottest.list().is_empty());
    }
}
