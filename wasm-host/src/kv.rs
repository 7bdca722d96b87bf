//! Numbers that guests keep in the host, with a quota and a time to live.
//!
//! Sixteen shards of a fixed number of cells, each behind a lock that is tried and never waited
//! for: a shard that is taken at the moment (for some 20 ns) is an answer of its own, counted.

use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::*, compiler_fence};
use tidegate_core::trylock::{Guard, TryLock};

/// The most keys that one policy may keep.
pub const KEYS_MAX: usize = SHARDS * CELLS;
const SHARDS: usize = 16;
const CELLS: usize = 256;
/// A key is looked for in so many cells behind the one it hashes to.
const PROBES: usize = 16;
/// How often a taken shard is looked at before giving up.
const TRIES: usize = 64;

#[derive(Clone, Copy, Default)]
struct Cell {
    key: i64,
    value: i64,
    /// When the cell is free again, on the records' clock; 0 is a free one.
    expires_ns: u64,
}

/// Its memory is behind one pointer, so that a fork finds it there or not.
type Cells = Option<Box<[Cell; CELLS]>>;
type Shard = CachePadded<TryLock<Cells>>;

/// The numbers of one policy. Its memory is taken on the first use.
pub(crate) struct Store {
    shards: [Shard; SHARDS],
    refused: AtomicU64,
}

impl Default for Store {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Shard::default()), refused: AtomicU64::new(0) }
    }
}

impl Store {
    /// Takes the memory, so that no call of a guest has to. (A shard in use has its memory.)
    pub fn prepare(&self) {
        let taken = self.shards.iter().filter_map(|shard| shard.try_times(TRIES));
        for mut cells in taken.filter(|cells| cells.is_none()) {
            let fresh = Box::new([Cell::default(); CELLS]);
            // First the zeros, then where they are: a fork may come in between.
            compiler_fence(Release);
            *cells = Some(fresh);
        }
    }

    /// The live value of `key`.
    pub fn get(&self, key: i64, now_ns: u64) -> Option<i64> {
        let (cells, at) = self.shard(key)?;
        let cells = cells.as_deref()?;
        probe(at).map(|n| cells[n]).find(|cell| cell.is(key, now_ns)).map(|cell| cell.value)
    }

    /// Puts `value` there for `ttl_ns` from now. False: no room, or the shard was taken.
    pub fn set(&self, key: i64, value: i64, ttl_ns: u64, now_ns: u64) -> bool {
        let end = now_ns.saturating_add(ttl_ns.max(1));
        self.change(key, now_ns, |_| (value, end)).is_some()
    }

    /// Adds `delta` to what is there and leaves its end alone; or to 0, which then lives for
    /// `ttl_ns` from now. The sum, or `None`: no room, or the shard was taken.
    pub fn add(&self, key: i64, delta: i64, ttl_ns: u64, now_ns: u64) -> Option<i64> {
        let end = now_ns.saturating_add(ttl_ns.max(1));
        self.change(key, now_ns, |old| {
            let (value, end) = old.unwrap_or((0, end));
            (value.saturating_add(delta), end)
        })
    }

    /// How many changes were not made.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Puts what `new` makes of the live value and its end.
    fn change(&self, key: i64, now_ns: u64, new: impl FnOnce(Option<(i64, u64)>) -> (i64, u64)) -> Option<i64> {
        let changed = self.shard(key).and_then(|(mut cells, at)| {
            let cells = cells.as_deref_mut()?;
            let live = probe(at).find(|n| cells[*n].is(key, now_ns));
            let at = live.or_else(|| probe(at).find(|n| cells[*n].expires_ns <= now_ns))?;
            let (value, expires_ns) = new(live.map(|n| (cells[n].value, cells[n].expires_ns)));
            cells[at] = Cell { key, value, expires_ns };
            Some(value)
        });
        if changed.is_none() {
            self.refused.fetch_add(1, Relaxed);
        }
        changed
    }

    fn shard(&self, key: i64) -> Option<(Guard<'_, Cells>, usize)> {
        let hash = mix(key as u64);
        let cells = self.shards[hash as usize % SHARDS].try_times(TRIES)?;
        Some((cells, (hash >> 32) as usize))
    }
}

impl Cell {
    fn is(&self, key: i64, now_ns: u64) -> bool {
        self.key == key && self.expires_ns > now_ns
    }
}

fn probe(at: usize) -> impl Iterator<Item = usize> {
    (at..at + PROBES).map(|n| n % CELLS)
}

/// The finaliser of splitmix64 (Steele, Lea and Flood, 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let store = Store::default();
        store.prepare();
        store
    }

    #[test]
    fn a_value_lives_as_long_as_was_said() {
        let store = store();
        assert!(store.set(7, 7, 100, 900) && store.set(7, 70, 100, 1000));
        assert_eq!(store.get(7, 1099), Some(70));
        assert_eq!(store.get(7, 1100), None);
        assert_eq!(store.get(8, 1000), None);
    }

    #[test]
    fn adding_keeps_the_first_end() {
        let store = store();
        assert_eq!(store.add(-1, 5, 100, 0), Some(5));
        assert_eq!(store.add(-1, 5, 100, 99), Some(10));
        assert_eq!(store.add(-1, i64::MAX, 100, 99), Some(i64::MAX));
        assert_eq!(store.add(-1, 5, 100, 100), Some(5));
    }

    #[test]
    fn a_full_store_refuses_and_counts_and_expiry_gives_room_back() {
        let store = store();
        let kept = (0..100_000).filter(|key| store.set(*key, 1, 10, 0)).count();
        assert!(kept <= KEYS_MAX, "{kept}");
        assert_eq!(store.refused(), 100_000 - kept as u64);
        assert!(store.set(1 << 40, 1, 10, 10));
    }

    #[test]
    fn before_prepare_there_is_no_room() {
        let store = Store::default();
        assert!(!store.set(1, 1, 1, 1));
        assert_eq!(store.get(1, 1), None);
    }
}
