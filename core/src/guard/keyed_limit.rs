//! A rate limit by key as a process knows it: made once of what the segment says, and pointed to by the guard's handle.
//!
//! The segment holds the rule's numbers and the table; decisions need the numbers compiled, with the special keys sorted, about 10 KiB. So
//! each process keeps one of these a limit, found by one load and a comparison of the tag that the guard's block has. It is never
//! freed, as threads may be using it; a rule that does not change makes no new one, whatever else is published.

use super::cell::MAX_RATES;
use super::handle::Guard;
use super::numbers::{Block, ExtraBlock, KeyedNumbers, OF_RATES};
use crate::rate::keyed::{Key, Keyed, Seed, Table};
use crate::segment::header::Header;
use crate::segment::{Offset, View};
use std::ptr::{from_ref, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*, fence};

/// The limit, ready to be asked.
pub struct KeyedLimit<'v> {
    /// Of the block that says this, as last seen.
    tag: AtomicU64,
    said: Said,
    keyed: Keyed,
    /// None: it is not where the segment says, and lets all pass.
    table: Option<Table<'v, AtomicU64>>,
    /// The one that was made before.
    before: AtomicPtr<Kept>,
}

/// One that is kept for good.
pub(super) type Kept = KeyedLimit<'static>;

/// All that this process has made, the latest: closed runtimes forget theirs, and what nobody frees is to be found.
static LATEST: AtomicPtr<Kept> = AtomicPtr::new(null_mut());

/// What a segment says of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    numbers: KeyedNumbers,
    table: Offset,
}

/// The limits that a handle has looked up.
#[derive(Default)]
pub(super) struct Looked([AtomicPtr<Kept>; MAX_RATES]);

impl Looked {
    #[inline(always)]
    fn get(&self, index: usize, tag: u64) -> Option<&'static Kept> {
        let at = self.0.get(index)?.load(Acquire);
        // SAFETY: null, or of a limit that is never freed.
        unsafe { at.as_ref() }.filter(|limit| limit.tag.load(Acquire) == tag)
    }

    fn put(&self, index: usize, limit: &'static Kept) {
        if let Some(at) = self.0.get(index) {
            at.store(from_ref(limit).cast_mut(), Release);
        }
    }

    /// Nothing yet.
    pub(super) const fn nothing() -> Looked {
        Looked([const { AtomicPtr::new(null_mut()) }; MAX_RATES])
    }
}

/// The seed of a segment's hashes.
pub(crate) fn seed_of(header: &Header) -> Seed {
    Seed { k0: header.key_seed[0].load(Relaxed), k1: header.key_seed[1].load(Relaxed) }
}

impl<'v> KeyedLimit<'v> {
    /// The limit of an index by a guard's numbers, when they have this tag still after it was read. **Cold.**
    pub(crate) fn of(view: &'v View, numbers: &Block, tag: u64, index: usize) -> Option<KeyedLimit<'v>> {
        if index >= numbers.rate_count() || !numbers.rate(index).is_keyed() {
            return None;
        }
        let extra = view.at::<ExtraBlock>(numbers.extra())?;
        let ([at, words], [table, _]) = (extra.keyed_at(index), extra.table(OF_RATES + index));
        let numbers_by_key = KeyedNumbers::read(view.words(at as Offset, words as usize)?)?;
        fence(Acquire);
        if numbers.tag() != tag {
            return None;
        }
        let (keyed, shape) = (numbers_by_key.keyed()?, numbers_by_key.shape()?);
        let said = Said { numbers: numbers_by_key, table: table as Offset };
        let words = view.words(said.table, shape.words());
        let table = words.and_then(|words| Table::new(words, shape, seed_of(view.header())));
        Some(KeyedLimit { tag: AtomicU64::new(tag), said, keyed, table, before: AtomicPtr::default() })
    }

    /// Whether both are made of the same.
    pub(crate) fn is(&self, other: &KeyedLimit<'_>) -> bool {
        self.said == other.said
    }

    /// Ready for decisions.
    #[inline]
    pub(super) fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    /// Id of the attribute that is the key.
    #[inline]
    pub(super) fn attribute(&self) -> u32 {
        self.said.numbers.attribute
    }

    /// Its table in the segment.
    #[inline]
    pub(super) fn table(&self) -> Option<&Table<'v, AtomicU64>> {
        self.table.as_ref()
    }

    /// Takes one token of a key that is known and has one, as most have: see [`Keyed::takes_at_once`]. **Hot.**
    #[inline(always)]
    pub(super) fn takes_at_once(&self, key: &Key<'_>, now: u64) -> bool {
        self.table().is_some_and(|table| self.keyed.takes_at_once(table, key, now))
    }

    /// For whoever has put it in force: see [`Keyed::bring_overrides_over`].
    pub(crate) fn bring_over(&self, now: u64) {
        if let Some(table) = self.table() {
            self.keyed.bring_overrides_over(table, now);
        }
    }

    /// About how many keys have used tokens now: see [`Keyed::about_live_keys`].
    pub(crate) fn live_keys(&self, now: u64) -> u64 {
        /// Half a megabyte is looked at.
        const SETS: usize = 4096;
        self.table().map_or(0, |table| self.keyed.about_live_keys(table, now, SETS))
    }
}

impl Kept {
    /// Keeps it for good.
    pub(crate) fn keep(self) -> &'static Kept {
        let kept: &'static Kept = Box::leak(Box::new(self));
        let mut before = LATEST.load(Acquire);
        loop {
            kept.before.store(before, Release);
            match LATEST.compare_exchange(before, from_ref(kept).cast_mut(), AcqRel, Acquire) {
                Ok(_) => return kept,
                Err(now) => before = now,
            }
        }
    }
}

impl Guard {
    /// The limit by key of an index, by numbers that have this tag. None: they were replaced meanwhile, or it has no key.
    #[inline(always)]
    pub(super) fn keyed_limit(&'static self, numbers: &Block, tag: u64, index: usize) -> Option<&'static Kept> {
        match self.keyed.get(index, tag) {
            None => self.look_up_keyed_limit(numbers, tag, index),
            known => known,
        }
    }

    /// Looks all of them up before the first call has to.
    pub(crate) fn prepare_keys(&'static self) {
        let numbers = self.numbers();
        for index in (0..numbers.rate_count()).filter(|&index| numbers.rate(index).is_keyed()) {
            self.keyed_limit(numbers, numbers.tag(), index);
        }
    }

    /// Once after each change of rules.
    #[cold]
    fn look_up_keyed_limit(&'static self, numbers: &Block, tag: u64, index: usize) -> Option<&'static Kept> {
        let limit = self.shared.intern_keyed(KeyedLimit::of(&self.view, numbers, tag, index)?).ok()?;
        limit.tag.store(tag, Release);
        self.keyed.put(index, limit);
        Some(limit)
    }
}
