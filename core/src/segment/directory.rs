//! The directory: named cells, found by kind and name through hash chains.
//!
//! Changes run under the cold lock and are published by one store each (of a chain's head or link), so that a
//! process that dies in between leaves at worst a cell that nobody finds. Cells of a kind are used again for the
//! same kind only; each life of a cell has a generation of its own that handles carry.

use super::header::KINDS;
use super::{Offset, Segment, Shared};
use crate::slot::lane::{RunPlace, new_place};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// What a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A guard.
    Guard = 1,
    /// A counter's series.
    Counter = 2,
    /// A gauge's series.
    Gauge = 3,
    /// A histogram's series.
    Histogram = 4,
    /// What the series of one metric share: type, help, unit.
    Family = 5,
    /// An interned attribute name.
    Attribute = 6,
    /// A counted breaker.
    Breaker = 7,
    /// A limiter that stands alone.
    Limiter = 8,
}

impl Kind {
    /// Version of this kind's layout; a cell of another is passed over.
    const fn layout(self) -> u32 {
        match self {
            Kind::Guard | Kind::Limiter => 3,
            _ => 1,
        }
    }

    fn mark(self) -> u32 {
        self as u32 | self.layout() << 8
    }

    /// The kind with this mark, when both are known here.
    fn of(mark: u32) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.mark() == mark)
    }

    const ALL: [Kind; 8] = [
        Kind::Counter,
        Kind::Histogram,
        Kind::Gauge,
        Kind::Guard,
        Kind::Family,
        Kind::Attribute,
        Kind::Breaker,
        Kind::Limiter,
    ];

    /// Bytes of a cell.
    fn bytes(self) -> usize {
        match self {
            Kind::Guard => size_of::<crate::guard::cell::GuardCell>(),
            Kind::Limiter => size_of::<crate::limiter::cell::LimiterCell>(),
            _ => size_of::<Cell>(),
        }
    }

    /// Words of its run in each lane; 0: it has none.
    pub fn run_words(self) -> usize {
        match self {
            Kind::Guard => crate::guard::cell::RUN,
            Kind::Counter => 2,
            Kind::Histogram => crate::metrics::instrument::HISTOGRAM_RUN,
            Kind::Gauge | Kind::Family | Kind::Attribute | Kind::Breaker | Kind::Limiter => 0,
        }
    }
}

/// The line that every cell begins with.
#[repr(C, align(64))]
pub struct Cell {
    /// The cell's life; 0 while it is retired.
    pub generation: AtomicU32,
    /// Kind and its layout version.
    mark: AtomicU32,
    hash: AtomicU64,
    /// Next in the hash chain, or in the list of retired cells.
    next: AtomicU32,
    name_at: AtomicU32,
    name_len: AtomicU32,
    extra_len: AtomicU32,
    /// Its run's place in the lanes.
    pub run: AtomicU32,
    /// A number that is its own among cells of the kind, or what the kind wants: a series' family.
    pub link: AtomicU32,
    /// The kind's own: a gauge's value, a guard's blocks of numbers, a breaker's table, a family's type and series.
    pub words: [AtomicU64; 2],
    spare: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Cell {}

/// A bucket's head.
#[repr(transparent)]
struct Head(AtomicU32);

// SAFETY: an atomic.
unsafe impl Shared for Head {}

/// A cell that was found, and the life in which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub at: Offset,
    /// Its generation.
    pub generation: u32,
}

/// The directory of a segment. Every method is to be called under the cold lock.
pub struct Directory<'a>(pub &'a Segment);

impl<'a> Directory<'a> {
    /// The cell at an offset.
    pub fn cell(&self, at: Offset) -> Option<&'a Cell> {
        self.0.at::<Cell>(at)
    }

    /// The cell of this kind and name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<Found> {
        let hash = hash(kind, name);
        let (at, cell) = self.chain(hash).find(|(_, cell)| {
            cell.hash.load(Relaxed) == hash
                && cell.mark.load(Relaxed) == kind.mark()
                && self.name_of(cell) == name.as_bytes()
        })?;
        Some(Found { at, generation: cell.generation.load(Acquire) })
    }

    /// Makes a cell that is not there yet, with an extra text of the kind's own; None, and counted, when there is
    /// no room. `fill` completes it before it can be found.
    pub fn insert(&self, kind: Kind, name: &str, extra: &str, fill: impl FnOnce(&Found, &Cell)) -> Option<Found> {
        let made = self.make(kind, name, extra);
        let Some((found, cell)) = made else {
            self.0.header().overflowed[kind as usize].fetch_add(1, Relaxed);
            return None;
        };
        fill(&found, cell);
        cell.generation.store(found.generation, Release);
        let head = self.head(cell.hash.load(Relaxed))?;
        cell.next.store(head.load(Acquire), Relaxed);
        head.store(found.at, Release);
        Some(found)
    }

    fn make(&self, kind: Kind, name: &str, extra: &str) -> Option<(Found, &'a Cell)> {
        let text = [name.as_bytes(), extra.as_bytes()].concat();
        let name_at = self.store_bytes(&text)?;
        let Some(at) = self.take_cell(kind) else {
            self.0.free(name_at, text.len());
            return None;
        };
        let cell = self.cell(at)?;
        cell.mark.store(kind.mark(), Relaxed);
        cell.hash.store(hash(kind, name), Relaxed);
        cell.name_at.store(name_at, Relaxed);
        cell.name_len.store(name.len() as u32, Relaxed);
        cell.extra_len.store(extra.len() as u32, Relaxed);
        Some((Found { at, generation: self.next_generation() }, cell))
    }

    fn next_generation(&self) -> u32 {
        let last = &self.0.header().last_generation;
        (last.fetch_add(1, AcqRel) + 1).max(1)
    }

    /// A retired cell of the kind with its run, or a new one.
    fn take_cell(&self, kind: Kind) -> Option<Offset> {
        let free = &self.0.header().free_cells[kind as usize % KINDS];
        let first = free.load(Acquire);
        if let Some(cell) = self.cell(first) {
            free.store(cell.next.load(Relaxed), Release);
            return Some(first);
        }
        let run = match kind.run_words() {
            0 => RunPlace(0),
            words => new_place(self.0, words)?,
        };
        let at = self.0.alloc(kind.bytes())?;
        self.cell(at)?.run.store(run.0, Relaxed);
        Some(at)
    }

    /// Takes a cell out; its room is used again. False when it is not in that life any more.
    pub fn retire(&self, found: Found) -> bool {
        let Some(cell) = self.cell(found.at) else { return false };
        if cell.generation.load(Acquire) != found.generation {
            return false;
        }
        cell.generation.store(0, Release);
        let kind = (cell.mark.load(Relaxed) & 0xFF) as usize % KINDS;
        if kind == Kind::Guard as usize {
            self.0.header().changes.fetch_add(1, AcqRel);
        }
        self.unlink(found.at, cell);
        let text = cell.name_len.load(Relaxed) + cell.extra_len.load(Relaxed);
        self.0.free(cell.name_at.load(Relaxed), text as usize);
        let free = &self.0.header().free_cells[kind];
        cell.next.store(free.load(Relaxed), Relaxed);
        free.store(found.at, Release);
        true
    }

    fn unlink(&self, at: Offset, cell: &Cell) {
        let hash = cell.hash.load(Relaxed);
        let next = cell.next.load(Relaxed);
        let before = self.chain(hash).find(|(_, other)| other.next.load(Relaxed) == at);
        match (before, self.head(hash)) {
            (Some((_, before)), _) => before.next.store(next, Release),
            (None, Some(head)) if head.load(Acquire) == at => head.store(next, Release),
            _ => {}
        }
    }

    /// Calls `see` with every cell of a kind.
    pub fn each(&self, kind: Kind, mut see: impl FnMut(Found, &'a Cell)) {
        self.each_of_any(|of, found, cell| {
            if of == kind {
                see(found, cell);
            }
        });
    }

    /// Calls `see` with every cell of a kind that this library knows.
    pub fn each_of_any(&self, mut see: impl FnMut(Kind, Found, &'a Cell)) {
        for head in self.heads() {
            for (at, cell) in self.follow(head.0.load(Acquire)) {
                if let Some(kind) = Kind::of(cell.mark.load(Relaxed)) {
                    see(kind, Found { at, generation: cell.generation.load(Acquire) }, cell);
                }
            }
        }
    }

    /// A cell's name, borrowed for as long as the lock is held.
    pub fn name_text(&self, cell: &Cell) -> &'a str {
        std::str::from_utf8(self.name_of(cell)).unwrap_or("")
    }

    /// A cell's name.
    pub fn name(&self, cell: &Cell) -> String {
        String::from_utf8_lossy(self.name_of(cell)).into_owned()
    }

    /// A cell's extra text.
    pub fn extra(&self, cell: &Cell) -> String {
        let len = cell.name_len.load(Relaxed) as usize;
        let all = self.bytes(cell.name_at.load(Relaxed), len + cell.extra_len.load(Relaxed) as usize);
        String::from_utf8_lossy(all.get(len..).unwrap_or(&[])).into_owned()
    }

    fn name_of(&self, cell: &Cell) -> &'a [u8] {
        self.bytes(cell.name_at.load(Relaxed), cell.name_len.load(Relaxed) as usize)
    }

    /// Copies bytes into a new block; None when there is no room.
    pub fn store_bytes(&self, bytes: &[u8]) -> Option<Offset> {
        let at = self.0.alloc(bytes.len())?;
        let to = self.0.many::<Byte>(at, bytes.len())?;
        for (to, from) in to.iter().zip(bytes) {
            to.0.store(*from, Relaxed);
        }
        Some(at)
    }

    /// Bytes of a block that is not written any more while the lock is held.
    pub fn bytes(&self, at: Offset, len: usize) -> &'a [u8] {
        let cells = self.0.many::<Byte>(at, len).unwrap_or(&[]);
        // SAFETY: text blocks are written before they are published and freed under the cold lock, which the
        // caller holds; a foreign writer can spoil the bytes but not move them.
        unsafe { std::slice::from_raw_parts(cells.as_ptr().cast::<u8>(), cells.len()) }
    }

    fn heads(&self) -> &'a [Head] {
        let header = self.0.header();
        let count = header.buckets.load(Relaxed) as usize;
        self.0.many(header.buckets_at.load(Relaxed), count).unwrap_or(&[])
    }

    fn head(&self, hash: u64) -> Option<&'a AtomicU32> {
        let heads = self.heads();
        let mask = heads.len().wrapping_sub(1);
        heads.get(hash as usize & mask).map(|head| &head.0)
    }

    fn chain(&self, hash: u64) -> impl Iterator<Item = (Offset, &'a Cell)> + use<'a> {
        let first = self.head(hash).map_or(0, |head| head.load(Acquire));
        self.follow(first)
    }

    /// The cells of a chain, ended after as many as a segment can hold in case a stranger tied a loop.
    fn follow(&self, first: Offset) -> impl Iterator<Item = (Offset, &'a Cell)> + use<'a> {
        let segment = self.0;
        let mut at = first;
        std::iter::from_fn(move || {
            let cell = segment.at::<Cell>(at)?;
            let here = at;
            at = cell.next.load(Acquire);
            Some((here, cell))
        })
        .take(1 << 24)
    }
}

/// A byte of text.
#[repr(transparent)]
struct Byte(std::sync::atomic::AtomicU8);

// SAFETY: an atomic.
unsafe impl Shared for Byte {}

/// FNV-1a (Fowler, Noll, Vo) over the kind and the name.
fn hash(kind: Kind, name: &str) -> u64 {
    crate::hash::fnv1a(name.bytes().chain([kind as u8]))
}
