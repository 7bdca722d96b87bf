//! Recording: what a value adds to the words of a histogram's run, and to its pages.

use super::buckets::{NS_STEPS, STEPS, any_bucket_of, bucket_of};
use super::{BUCKETS, LAST, LAST_COUNT_BITS, PAGES, PLACES, SUM, ZERO, last_of, place_in, place_of};
use crate::segment::{Offset, View};
use crate::slot::lane::{Count, PAGE_BYTES, PAGE_WORDS, Page};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Records a value at words `base`.. of the run; false when it is negative or not finite.
#[inline(always)]
pub fn record<'a>(view: &'static View, run: impl Count<'a>, base: usize, value: f64, last: &Last) -> bool {
    let bucket = any_bucket_of(value, &STEPS);
    if bucket >= BUCKETS {
        return record_odd(view, run, base, value);
    }
    add_to_sum(run, base, value);
    last.settle();
    if let Some(page) = page(view, run, base, bucket / PAGE_WORDS) {
        last.put(run, base, bucket, &page.0[bucket % PAGE_WORDS]);
    }
    true
}

/// The same on a lane that others write too, or that nobody reads.
pub fn record_at_once<'a>(view: &View, run: impl Count<'a>, base: usize, value: f64) -> bool {
    let bucket = any_bucket_of(value, &STEPS);
    if bucket >= BUCKETS {
        return record_odd(view, run, base, value);
    }
    if run.is_read() {
        add_to_sum(run, base, value);
        count(view, run, base, bucket);
    }
    true
}

/// The same of a value that has no bucket.
#[cold]
fn record_odd<'a>(view: &View, run: impl Count<'a>, base: usize, value: f64) -> bool {
    let is_one = value >= 0.0 && value.is_finite();
    if is_one && run.is_read() {
        add_to_sum(run, base, value);
        record_at_end(view, run, base, value);
    }
    is_one
}

#[inline(always)]
fn add_to_sum<'a>(run: impl Count<'a>, base: usize, value: f64) {
    run.change(base + SUM, |sum| (f64::from_bits(sum) + value).to_bits());
}

/// The bucket that a thread counted in last, as it remembers it: the word and its count.
///
/// Where a value counts is not known until long after the value is. A store whose place is not known holds up what comes
/// after it: a processor that reads its time-stamp counter waits for it, and so do some for any load. Therefore nothing is
/// stored there yet: the new count goes into a word of the run's own, and the next value's call stores it where it belongs.
/// Readers take the larger of the two, so that it makes no difference whether that has happened, nor whether
/// this thread dies in between.
pub struct Last(Cell<(&'static AtomicU64, u64)>);

/// The last bucket's word of who has recorded nothing.
static NOWHERE: AtomicU64 = AtomicU64::new(0);

impl Last {
    /// None.
    pub const fn none() -> Last {
        Last(Cell::new((&NOWHERE, 0)))
    }

    /// Begins with a run, which may be another than before. What was last counted there is put where it belongs.
    pub fn learn<'a>(&self, view: &View, run: impl Count<'a>, base: usize) {
        self.0.set((&NOWHERE, 0));
        let (bucket, count) = last_of(run.word(base + LAST).load(Relaxed));
        if count == 0 || bucket >= BUCKETS {
            return;
        }
        if let Some(page) = page(view, run, base, bucket / PAGE_WORDS) {
            let word = &page.0[bucket % PAGE_WORDS];
            word.store(word.load(Relaxed).max(count), Release);
        }
    }

    /// Stores the last count where it belongs.
    #[inline(always)]
    fn settle(&self) {
        let (word, count) = self.0.get();
        word.store(count, Release);
    }

    /// Counts one more in a bucket.
    #[inline(always)]
    fn put<'a>(&self, run: impl Count<'a>, base: usize, bucket: usize, word: &'static AtomicU64) {
        let count = word.load(Relaxed) + 1;
        run.word(base + LAST).store((bucket as u64) << LAST_COUNT_BITS | count, Release);
        self.0.set((word, count));
    }
}

/// Where a thread records nanoseconds, as it remembers it.
pub struct Remembered {
    pages: [Cell<Option<&'static Page>>; PAGES],
    last: Last,
}

impl Remembered {
    /// Nothing.
    pub const fn nothing() -> Remembered {
        Remembered { pages: [const { Cell::new(None) }; PAGES], last: Last::none() }
    }

    /// Begins with a run, which may be another than before.
    pub fn learn<'a>(&self, view: &View, run: impl Count<'a>, base: usize) {
        self.pages.iter().for_each(|page| page.set(None));
        self.last.learn(view, run, base);
    }

    /// Where so many ns are counted; None: it is not remembered.
    #[inline(always)]
    pub fn place_of(&self, ns: u64) -> Option<Place> {
        let bucket = any_bucket_of(ns as i64 as f64, &NS_STEPS);
        if bucket >= BUCKETS {
            return None;
        }
        let word = &self.pages[bucket / PAGE_WORDS].get()?.0[bucket % PAGE_WORDS];
        Some(Place { bucket, word })
    }

    /// Adds so many ns to the sum of a lane of the thread's own; [`Remembered::count`] has to follow.
    #[inline(always)]
    pub fn begin<'a>(&self, run: impl Count<'a>, base: usize, ns: u64) {
        run.add(base + SUM, ns);
        self.last.settle();
    }

    /// Counts a value that was added, where its place is.
    #[inline(always)]
    pub fn count<'a>(&self, run: impl Count<'a>, base: usize, place: Place) {
        self.last.put(run, base, place.bucket, place.word);
    }

    /// The same where it is not remembered, or is none.
    #[cold]
    pub fn count_anew<'a>(&self, view: &'static View, run: impl Count<'a>, base: usize, ns: u64) {
        let bucket = any_bucket_of(ns as i64 as f64, &NS_STEPS);
        if bucket >= BUCKETS {
            return record_at_end(view, run, base, ns as f64 * 1e-9);
        }
        let number = bucket / PAGE_WORDS;
        self.pages[number].set(page(view, run, base, number));
        if let Some(place) = self.place_of(ns) {
            self.count(run, base, place);
        }
    }
}

/// Where a value is counted.
#[derive(Clone, Copy)]
pub struct Place {
    bucket: usize,
    word: &'static AtomicU64,
}

/// Records nanoseconds in a histogram of seconds, whose sum is in nanoseconds too.
pub fn record_ns<'a>(view: &'static View, run: impl Count<'a>, base: usize, ns: u64, known: &Remembered) {
    if run.is_shared() || !run.is_read() {
        return record_ns_at_once(view, run, base, ns);
    }
    known.begin(run, base, ns);
    match known.place_of(ns) {
        Some(place) => known.count(run, base, place),
        None => known.count_anew(view, run, base, ns),
    }
}

/// The same on a lane that others write too, or that nobody reads.
#[cold]
fn record_ns_at_once<'a>(view: &View, run: impl Count<'a>, base: usize, ns: u64) {
    if !run.is_read() {
        return;
    }
    run.add(base + SUM, ns);
    match any_bucket_of(ns as i64 as f64, &NS_STEPS) {
        bucket if bucket < BUCKETS => count(view, run, base, bucket),
        _ => record_at_end(view, run, base, ns as f64 * 1e-9),
    }
}

#[inline(always)]
fn count<'a>(view: &View, run: impl Count<'a>, base: usize, bucket: usize) {
    if let Some(page) = page(view, run, base, bucket / PAGE_WORDS) {
        run.add_to(&page.0[bucket % PAGE_WORDS], 1);
    }
}

#[inline(always)]
fn page<'a, 'v>(view: &'v View, run: impl Count<'a>, base: usize, number: usize) -> Option<&'v Page> {
    let place = place_in(run.word(base + PLACES + number / 2), number);
    view.at::<Page>(place).or_else(|| make_page(view, run, base, number))
}

/// Counts a value too small for a bucket, or too large.
#[cold]
fn record_at_end<'a>(view: &View, run: impl Count<'a>, base: usize, value: f64) {
    match bucket_of(value) {
        None => run.add(base + ZERO, 1),
        Some(bucket) => count(view, run, base, bucket),
    }
}

#[cold]
fn make_page<'a, 'v>(segment: &'v View, run: impl Count<'a>, base: usize, page: usize) -> Option<&'v Page> {
    let made = segment.alloc(PAGE_BYTES)?;
    let word = run.word(base + PLACES + page / 2);
    let shift = 32 * (page % 2);
    let mine = u64::from(made) << shift;
    let put = word.fetch_update(AcqRel, Acquire, |seen| (seen >> shift & 0xFFFF_FFFF == 0).then_some(seen | mine));
    match put {
        Ok(_) => segment.at(made),
        Err(seen) => {
            segment.free(made, PAGE_BYTES);
            segment.at((seen >> shift) as Offset)
        }
    }
}

/// Gives the pages of a run back that goes to another cell; which of its words are places follows from
/// the run's size.
pub fn give_back_pages(view: &View, run: &[AtomicU64]) {
    let Some(base) = base_in(run.len()) else { return };
    for page in 0..PAGES {
        let place = place_of(&run[base + PLACES..], page);
        if place != 0 {
            view.free(place, PAGE_BYTES);
        }
    }
}

fn base_in(run_words: usize) -> Option<usize> {
    match run_words {
        crate::metrics::instrument::HISTOGRAM_RUN => Some(1),
        crate::guard::cell::RUN => Some(crate::guard::cell::LATENCY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Histogram;
    use super::*;
    use crate::segment::{Segment, SegmentOptions};
    use crate::slot::lane::Run;
    use proptest::prelude::*;

    /// A histogram in a run of its own, in a segment that stays.
    fn in_segment() -> (&'static Segment, &'static View, &'static Page) {
        let segment = Box::leak(Box::new(Segment::create(&SegmentOptions::default()).unwrap()));
        let at = segment.alloc(PAGE_BYTES).unwrap();
        (segment, Box::leak(Box::new(segment.view())), segment.at(at).unwrap())
    }

    fn read(segment: &Segment, page: &Page) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.add_ns(segment, &page.0, 1);
        histogram
    }

    #[test]
    fn a_count_on_its_way_is_counted_once() {
        let (segment, view, page) = in_segment();
        let (run, known) = (Run::for_test(page), Remembered::nothing());
        for _ in 0..3 {
            record_ns(view, run, 1, 1_000, &known);
        }
        assert_eq!(read(segment, page).count(), 3, "the last one stands in its word");
        let last = page.0[1 + LAST].load(Relaxed);
        known.learn(view, run, 1);
        assert_eq!(read(segment, page).count(), 3, "now in both places, as when a thread dies in between");
        page.0[1 + LAST].store(0, Relaxed);
        assert_eq!(read(segment, page).count(), 3);
        assert_eq!(last_of(last), (bucket_of(1e-6).unwrap(), 3));
    }

    proptest! {
        #[test]
        fn durations_are_counted_as_their_seconds(all in prop::collection::vec(prop::sample::select(
            vec![0u64, 1, 20, 21, 14_900, 15_000, 1_000_000_000, 1 << 40]), 1..60)) {
            let (segment, view, page) = in_segment();
            let known = Remembered::nothing();
            let mut plain = Histogram { buckets: vec![0; BUCKETS], ..Histogram::default() };
            for ns in all {
                record_ns(view, Run::for_test(page), 1, ns, &known);
                match bucket_of(ns as f64 * 1e-9) {
                    Some(bucket) => plain.buckets[bucket] += 1,
                    None => plain.zero += 1,
                }
                if ns == 15_000 {
                    known.learn(view, Run::for_test(page), 1);
                }
                let read = read(segment, page);
                prop_assert_eq!(read.zero, plain.zero);
                prop_assert_eq!(&read.buckets[..], &plain.buckets[..read.buckets.len()]);
                prop_assert_eq!(read.count(), plain.count());
            }
        }
    }
}
