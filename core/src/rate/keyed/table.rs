//! The memory of a keyed limit: sets, the words of keys with numbers of their own, the hottest keys.

use super::hottest::Hottest;
use super::overrides::MAX_OVERRIDES;
use super::set::Set;
use super::sip::Seed;

/// Places in a set.
pub const PLACES: usize = 14;
/// Words of a set: stamp, claim and places, in two cache lines.
const SET: usize = 16;
/// Keys for which a set is meant, in thousandths: if as many are live as the table is for, 0.08 % find their set full.
const KEYS_PER_SET: u64 = 6500;
/// The most keys of a table.
const MAX_KEYS: u64 = 1 << 32;

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    sets: usize,
    hottest: usize,
}

/// A table in its memory. Zeroed memory is an empty one. Any number of threads and processes may use it at once.
pub struct Table<'a, W> {
    sets: &'a [[W; SET]],
    first: &'a [W; SET],
    pub(super) own: &'a [W],
    pub(super) hottest: Hottest<'a, W>,
    seed: Seed,
}

impl Shape {
    /// The table for so many keys at once (1 to 2³²), about 20 bytes each, that remembers the `hottest` (0 to 64).
    pub fn for_keys(keys: u64, hottest: usize) -> Option<Shape> {
        if !(1..=MAX_KEYS).contains(&keys) || hottest > 64 {
            return None;
        }
        Some(Shape { sets: (keys * 1000).div_ceil(KEYS_PER_SET) as usize, hottest })
    }

    /// The words that it needs: a multiple of 16; best aligned to 128 bytes.
    pub fn words(&self) -> usize {
        self.sets * SET + MAX_OVERRIDES + self.hottest_words()
    }

    /// How many of the hottest keys it remembers.
    pub fn hottest(&self) -> usize {
        self.hottest
    }

    fn hottest_words(&self) -> usize {
        Hottest::<()>::words(self.hottest).next_multiple_of(SET)
    }
}

impl<'a, W> Table<'a, W> {
    /// The table of this shape on its words. None when there are too few.
    pub fn new(words: &'a [W], shape: Shape, seed: Seed) -> Option<Table<'a, W>> {
        let (sets, rest) = words.get(..shape.words())?.split_at_checked(shape.sets * SET)?;
        let (own, hottest) = rest.split_at_checked(MAX_OVERRIDES)?;
        let sets = sets.as_chunks::<SET>().0;
        let hottest = Hottest::new(hottest, shape.hottest, seed)?;
        Some(Table { sets, first: sets.first()?, own, hottest, seed })
    }

    /// A key that is to be looked up, perhaps several times. **Hot.**
    #[inline]
    pub fn key<'k>(&self, name: &'k [u8]) -> Key<'k> {
        Key { name, hash: self.seed.hash(name) }
    }
}

/// A key: a tenant, an address, a parameter.
#[derive(Clone, Copy)]
pub struct Key<'k> {
    pub(super) name: &'k [u8],
    pub(super) hash: u64,
}

impl<'a, W: crate::word::Word> Table<'a, W> {
    /// The set of a hash, by its highest bits.
    #[inline(always)]
    pub(super) fn set(&self, hash: u64) -> Set<'a, W, PLACES> {
        let index = ((u128::from(hash) * self.sets.len() as u128) >> 64) as usize;
        set_on(self.sets.get(index).unwrap_or(self.first))
    }

    pub(super) fn sets(&self) -> impl Iterator<Item = Set<'a, W, PLACES>> {
        self.sets.iter().map(set_on)
    }
}

#[inline(always)]
fn set_on<W: crate::word::Word>(words: &[W; SET]) -> Set<'_, W, PLACES> {
    let [stamp, claim, places @ ..] = words;
    Set::new(stamp, claim, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_table_takes_twenty_bytes_a_key() {
        for keys in [100_000u64, 10_000_000] {
            let bytes = Shape::for_keys(keys, 64).unwrap().words() * 8;
            assert!((bytes as f64) < keys as f64 * 20.0, "{bytes} for {keys}");
        }
    }

    #[test]
    fn refuses_impossible_shapes_and_too_little_memory() {
        assert_eq!(Shape::for_keys(0, 8), None);
        assert_eq!(Shape::for_keys(1, 65), None);
        assert_eq!(Shape::for_keys(u64::MAX, 8), None);
        let shape = Shape::for_keys(100, 8).unwrap();
        let words: Vec<AtomicU64> = (1..shape.words()).map(|_| AtomicU64::new(0)).collect();
        assert!(Table::new(&words, shape, Seed { k0: 1, k1: 2 }).is_none());
    }

    /// If as many keys are live as the table is for, in sets by chance.
    #[test]
    fn fewer_than_one_key_in_a_thousand_finds_its_set_full() {
        let keys = 1_000_000u64;
        let shape = Shape::for_keys(keys, 0).unwrap();
        let seed = Seed { k0: 3, k1: 4 };
        let mut fill = vec![0usize; shape.sets];
        for key in 0..keys {
            let index = ((u128::from(seed.hash(&key.to_le_bytes())) * shape.sets as u128) >> 64) as usize;
            fill[index] += 1;
        }
        let over: usize = fill.iter().map(|&keys| keys.saturating_sub(PLACES)).sum();
        let share = over as f64 / keys as f64;
        assert!(share < 0.001 && share > 0.0004, "{share}");
    }
}
