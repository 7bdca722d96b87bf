//! Lanes: what is only counted. Each thread slot has a lane of 64-bit words, in pages of 64 that come
//! when the slot first counts there. A series or guard has a *run* of words at the same place of every
//! lane; its slot writes them with plain stores, readers sum over the lanes.
//!
//! The first word of a run is its tag: the generation of the cell that the run belongs to. A slot
//! that finds another tag clears the words itself before it counts, and readers pass over it: so a
//! cell that is retired and used again starts from zero without anybody else's store.

use super::thread;
use crate::segment::{Offset, Segment, Shared, View};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Words of a page.
pub const PAGE_WORDS: usize = 64;
/// Bytes of a page.
pub const PAGE_BYTES: usize = PAGE_WORDS * 8;

/// A page of a lane, or of a histogram's buckets.
#[repr(C, align(64))]
pub struct Page(pub [AtomicU64; PAGE_WORDS]);

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Page {}

/// An entry of a lane's page table.
#[repr(transparent)]
struct Entry(AtomicU32);

// SAFETY: an atomic.
unsafe impl Shared for Entry {}

/// Where a run stands in every lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPlace(pub u32);

impl RunPlace {
    #[inline(always)]
    fn page(self) -> usize {
        self.0 as usize / PAGE_WORDS
    }

    #[inline(always)]
    fn word(self) -> usize {
        self.0 as usize % PAGE_WORDS
    }
}

/// One slot's lane as its thread sees it.
pub struct Lane {
    view: View,
    table: *const Entry,
    pages: usize,
    /// Other threads write here too, so every change is a read-modify-write.
    shared: bool,
}

/// Where a thread counts.
pub trait Count<'a>: Copy {
    /// One of the run's words; the first is the tag.
    fn word(self, index: usize) -> &'a AtomicU64;

    /// Whether other threads write here too, so that every change is a read-modify-write.
    fn is_shared(self) -> bool;

    /// Whether somebody sums what is counted here.
    fn is_read(self) -> bool;

    /// Adds to one word.
    #[inline(always)]
    fn add(self, word: usize, n: u64) {
        self.add_to(self.word(word), n);
    }

    /// Adds to a word of a page that belongs to the same lane.
    #[inline(always)]
    fn add_to(self, word: &AtomicU64, n: u64) {
        if self.is_shared() {
            word.fetch_add(n, Relaxed);
        } else {
            word.store(word.load(Relaxed).wrapping_add(n), Relaxed);
        }
    }

    /// Replaces one word by a function of it; exact on a shared lane too.
    #[inline(always)]
    fn change(self, word: usize, step: impl Fn(u64) -> u64) {
        let word = self.word(word);
        if self.is_shared() {
            let _ = word.fetch_update(AcqRel, Acquire, |seen| Some(step(seen)));
        } else {
            word.store(step(word.load(Relaxed)), Release);
        }
    }
}

/// A run of N words in a lane that the calling thread has for itself.
#[derive(Clone, Copy)]
pub struct Own<'a, const N: usize>(&'a [AtomicU64; N]);

impl<'a, const N: usize> Own<'a, N> {
    /// A run of nobody's, to begin with.
    pub const fn new(words: &'a [AtomicU64; N]) -> Self {
        const { assert!(N.is_power_of_two()) };
        Own(words)
    }

    /// The words.
    pub fn words(self) -> &'a [AtomicU64; N] {
        self.0
    }
}

impl<'a, const N: usize> Count<'a> for Own<'a, N> {
    #[inline(always)]
    fn word(self, index: usize) -> &'a AtomicU64 {
        &self.0[index % N]
    }

    #[inline(always)]
    fn is_shared(self) -> bool {
        false
    }

    #[inline(always)]
    fn is_read(self) -> bool {
        true
    }
}

impl<'a> From<Own<'a, PAGE_WORDS>> for Run<'a> {
    #[inline(always)]
    fn from(own: Own<'a, PAGE_WORDS>) -> Run<'a> {
        Run { page: own.0, at: 0 }
    }
}

/// A run in any lane: two registers, so that the hot path keeps it out of memory.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    page: &'a [AtomicU64; PAGE_WORDS],
    /// Its first word in the page (lower byte) | [`SHARED`], [`UNREAD`].
    at: u32,
}

/// Other threads write here too.
const SHARED: u32 = 1 << 8;
/// Nobody sums what is counted here.
const UNREAD: u32 = 1 << 9;

impl Lane {
    /// The lane of slot `index`. The segment must outlive it.
    pub fn new(segment: &Segment, index: usize) -> Option<Lane> {
        let table = table(segment, index)?;
        let shared = index == thread::shared(segment);
        Some(Lane { view: segment.view(), table: table.as_ptr(), pages: table.len(), shared })
    }

    /// Whether threads share this lane.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// The run at `place`, tagged as that of a cell in life `generation`. None when there is no room for its
    /// page, or the cell lives another life by now.
    #[inline(always)]
    pub fn run(&self, place: RunPlace, words: usize, life: &AtomicU32, generation: u32) -> Option<Run<'_>> {
        let run = self.untagged(place)?;
        if run.word(0).load(Relaxed) == u64::from(generation) {
            return Some(run);
        }
        // A late caller must not clear what the cell's next life counts; while it is here, nobody else
        // counts in its lane.
        if life.load(Acquire) != generation {
            return None;
        }
        Some(retag(&self.view, run, words, generation))
    }

    #[inline(always)]
    fn untagged(&self, place: RunPlace) -> Option<Run<'_>> {
        if place.page() >= self.pages {
            return None;
        }
        // SAFETY: the index was just checked against the table's length.
        let entry = unsafe { &*self.table.add(place.page()) };
        let page = match self.view.at::<Page>(entry.0.load(Relaxed)) {
            Some(page) => page,
            None => self.make_page(entry)?,
        };
        let shared = if self.shared { SHARED } else { 0 };
        Some(Run { page: &page.0, at: place.word() as u32 | shared })
    }

    #[cold]
    fn make_page(&self, entry: &Entry) -> Option<&Page> {
        let made = self.view.alloc(PAGE_BYTES)?;
        match entry.0.compare_exchange(0, made, AcqRel, Acquire) {
            Ok(_) => self.view.at(made),
            Err(other) => {
                self.view.free(made, PAGE_BYTES);
                self.view.at(other)
            }
        }
    }
}

impl<'a> Count<'a> for Run<'a> {
    #[inline(always)]
    fn word(self, index: usize) -> &'a AtomicU64 {
        &self.page[((self.at & 0xFF) as usize + index) % PAGE_WORDS]
    }

    #[inline(always)]
    fn is_shared(self) -> bool {
        self.at & SHARED != 0
    }

    #[inline(always)]
    fn is_read(self) -> bool {
        self.at & UNREAD == 0
    }
}

impl<'a> Run<'a> {
    #[cfg(test)]
    pub(crate) fn for_test(page: &'a Page) -> Run<'a> {
        Run { page: &page.0, at: 0 }
    }

    /// A run that nobody sums, for a thread whose lane has no room.
    pub fn unread(page: &'a Page) -> Run<'a> {
        Run { page: &page.0, at: UNREAD }
    }

    /// The same run as one that the calling thread has for itself, if it has.
    pub fn own<const N: usize>(self) -> Option<Own<'a, N>> {
        let alone = !self.is_shared() && self.is_read();
        let words = self.page.get((self.at & 0xFF) as usize..)?.get(..N)?;
        words.try_into().ok().filter(|_| alone).map(Own)
    }

    fn words(&self, count: usize) -> &'a [AtomicU64] {
        let start = (self.at & 0xFF) as usize;
        &self.page[start..(start + count).min(PAGE_WORDS)]
    }
}

/// Clears what the run's former owner counted. On a shared lane two threads may do so at once when a
/// recycled series is first used: what one counted in between may be lost, never invented.
#[cold]
fn retag<'a>(view: &View, run: Run<'a>, words: usize, generation: u32) -> Run<'a> {
    let words = run.words(words);
    crate::metrics::histogram::give_back_pages(view, words);
    words[1..].iter().for_each(|word| word.store(0, Relaxed));
    words[0].store(u64::from(generation), Release);
    run
}

/// Calls `see` with the words of every lane's run that is tagged as `generation`'s, and its slot.
pub fn each_run(
    segment: &Segment,
    place: RunPlace,
    words: usize,
    generation: u32,
    mut see: impl FnMut(usize, &[AtomicU64]),
) {
    let slots = (0..thread::used(segment)).chain([thread::shared(segment)]);
    for slot in slots {
        let page = table(segment, slot)
            .and_then(|table| table.get(place.page()))
            .and_then(|entry| segment.at::<Page>(entry.0.load(Acquire)));
        let Some(page) = page else { continue };
        let Some(run) = page.0.get(place.word()..place.word() + words) else { continue };
        if run[0].load(Acquire) == u64::from(generation) {
            see(slot, run);
        }
    }
}

/// Bytes of lane pages that a run has by now, in all lanes.
pub fn pages_in_use(segment: &Segment, place: RunPlace) -> usize {
    let slots = (0..thread::used(segment)).chain([thread::shared(segment)]);
    let has = |slot: &usize| {
        table(segment, *slot).and_then(|table| table.get(place.page())).is_some_and(|e| e.0.load(Acquire) != 0)
    };
    slots.filter(has).count()
}

/// A place for a new run of `words` (2, 16 or 64) in every lane, or None when the lanes are full. To
/// be called under the cold lock.
pub fn new_place(segment: &Segment, words: usize) -> Option<RunPlace> {
    let header = segment.header();
    let size_class = match words {
        2 => 0,
        16 => 1,
        _ => return next_page(segment).map(RunPlace),
    };
    let partial = &header.lane_partial[size_class];
    let mut word = partial.load(Relaxed);
    if word.is_multiple_of(PAGE_WORDS as u32) {
        word = next_page(segment)?;
    }
    partial.store(word + words as u32, Relaxed);
    Some(RunPlace(word))
}

fn next_page(segment: &Segment) -> Option<u32> {
    let header = segment.header();
    let page = header.next_lane_page.load(Relaxed).max(1);
    if page >= header.lane_pages.load(Relaxed) {
        return None;
    }
    header.next_lane_page.store(page + 1, Relaxed);
    Some(page * PAGE_WORDS as u32)
}

fn table(segment: &Segment, slot: usize) -> Option<&[Entry]> {
    let header = segment.header();
    let pages = header.lane_pages.load(Relaxed);
    let units_each = pages as usize * 4 / crate::segment::UNIT;
    let at = header.lanes_at.load(Relaxed) as usize + slot * units_each;
    segment.many::<Entry>(at as Offset, pages as usize)
}
