//! Exponential histograms at a fixed scale: 16 buckets an octave (OpenTelemetry's scale 4), so that a value
//! read back from its bucket is off by at most 2^(1/32) − 1 = 2.2 %.
//!
//! Bucket `i` holds the values in (2^(i/16), 2^((i+1)/16)], as OpenTelemetry and Prometheus count. Values up to 2⁻³⁴
//! (58 ps, as seconds) fall into the zero bucket, values over 2⁶² into the last. Buckets stand in pages of four
//! octaves that a slot makes when it first counts there.
//!
//! Source of the mapping: the OpenTelemetry metrics data model, "exponential histogram".

use crate::segment::{Offset, Segment, View};
use crate::slot::lane::{Count, PAGE_BYTES, PAGE_WORDS, Page};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Buckets an octave.
pub const SCALE_BUCKETS: i32 = 16;
/// The largest relative error of a value that is read back.
pub const RELATIVE_ERROR: f64 = 0.022;
/// Exponent of the lowest octave.
const LOWEST: i32 = -34;
/// Pages of buckets.
const PAGES: usize = 24;
/// All buckets.
pub const BUCKETS: usize = PAGES * PAGE_WORDS;
/// Words of a histogram in its run: sum, zero bucket, last count, places of the pages (two a word).
pub const WORDS: usize = 3 + PAGES / 2;
const SUM: usize = 0;
const ZERO: usize = 1;
/// See [`record_ns`]: a bucket (upper bits) and what its count has become, or 0.
const LAST: usize = 2;
const PLACES: usize = 3;
/// Bits of the count in it.
const LAST_COUNT_BITS: u32 = 53;

/// For values of the histogram's own unit: the boundaries of each octave start with its beginning.
const STEPS: [u64; 32] = steps(&BOUNDS, 1);
/// For nanoseconds, where the histogram's unit is the second: 10⁹ lies 0.63 of a bucket before boundary 14 of its
/// octave of nanoseconds.
const NS_STEPS: [u64; 32] = steps(&ns_bounds(), 479);

/// Mantissas of 2^(j/16), rounded down to 52 bits.
const BOUNDS: [u64; 16] = [
    0x0000000000000,
    0x0B5586CF9890F,
    0x172B83C7D517A,
    0x2387A6E756238,
    0x306FE0A31B715,
    0x3DEA64C123422,
    0x4BFDAD5362A27,
    0x5AB07DD485429,
    0x6A09E667F3BCC,
    0x7A11473EB0186,
    0x8ACE5422AA0DB,
    0x9C49182A3F090,
    0xAE89F995AD3AD,
    0xC199BDD85529C,
    0xD5818DCFBA487,
    0xEA4AFA2A490D9,
];

/// The same of 10⁹ × 2^(j/16), in rising order.
const fn ns_bounds() -> [u64; 16] {
    let mut bounds = [0; 16];
    let mut j = 0;
    while j < 16 {
        let exact = ((1 << 52) + BOUNDS[j] as u128) * 1_000_000_000;
        let octave = 127 - exact.leading_zeros();
        // The first two lie before the end of the octave that 10⁹ is in, the others in the next.
        bounds[(j + 14) % 16] = (exact >> (octave - 52)) as u64 & ((1 << 52) - 1);
        j += 1;
    }
    bounds
}

/// For each 32nd of an octave, what is added to a value's bits so that those from bit 48 up count buckets. As they stand
/// they count octaves and equal sixteenths of them. Added is by how many the boundaries that lie below are more, and,
/// where there is a boundary inside, what makes a mantissa over it carry into bit 48. `before` is how many
/// boundaries lie between the lowest bucket's lower one (which is boundary LOWEST) and the first of octave 0.
const fn steps(bounds: &[u64; 16], before: i32) -> [u64; 32] {
    let first = ((1023 + LOWEST) * SCALE_BUCKETS + before) as u64;
    let mut steps = [0; 32];
    let mut step = 0;
    while step < 32 {
        let (start, end) = ((step as u64) << 47, (step as u64 + 1) << 47);
        let (mut below, mut carry, mut bound) = (0, 0, 0);
        while bound < 16 {
            if bounds[bound] < start {
                below += 1;
            } else if bounds[bound] < end {
                carry = (1 << 48) - 1 - (bounds[bound] & ((1 << 48) - 1));
            }
            bound += 1;
        }
        let sixteenths = step as u64 / 2;
        steps[step] = (((below - sixteenths) << 48) + carry).wrapping_sub(first << 48);
        step += 1;
    }
    steps
}

/// The bucket of a value of no sign, counted from the lowest; over [`BUCKETS`] where it has none.
#[inline(always)]
fn any_bucket_of(value: f64, steps: &[u64; 32]) -> usize {
    let bits = value.to_bits();
    (bits.wrapping_add(steps[(bits >> 47) as usize % 32]) >> 48) as usize
}

/// The bucket of a value over 2⁻³⁴ and finite, counted from the lowest; None: the zero bucket.
pub fn bucket_of(value: f64) -> Option<usize> {
    match any_bucket_of(value, &STEPS) {
        bucket if bucket < BUCKETS => Some(bucket),
        _ if value > 1.0 => Some(BUCKETS - 1),
        _ => None,
    }
}

/// The upper bound of a bucket.
pub fn upper_bound(bucket: usize) -> f64 {
    let index = bucket as i32 + LOWEST * SCALE_BUCKETS + 1;
    (f64::from(index) / f64::from(SCALE_BUCKETS)).exp2()
}

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

    /// The word of a bucket.
    #[inline(always)]
    fn word<'a>(
        &self,
        view: &'static View,
        run: impl Count<'a>,
        base: usize,
        bucket: usize,
    ) -> Option<&'static AtomicU64> {
        let number = bucket / PAGE_WORDS;
        let page = self.pages[number].get().or_else(|| self.find(view, run, base, number))?;
        Some(&page.0[bucket % PAGE_WORDS])
    }

    #[cold]
    fn find<'a>(&self, view: &'static View, run: impl Count<'a>, base: usize, number: usize) -> Option<&'static Page> {
        let page = page(view, run, base, number);
        self.pages[number].set(page);
        page
    }
}

/// Records nanoseconds in a histogram of seconds, whose sum is in nanoseconds too.
#[inline(always)]
pub fn record_ns<'a>(view: &'static View, run: impl Count<'a>, base: usize, ns: u64, known: &Remembered) {
    if run.is_shared() || !run.is_read() {
        return record_ns_at_once(view, run, base, ns);
    }
    run.add(base + SUM, ns);
    known.last.settle();
    let bucket = any_bucket_of(ns as i64 as f64, &NS_STEPS);
    if bucket >= BUCKETS {
        return record_at_end(view, run, base, ns as f64 * 1e-9);
    }
    if let Some(word) = known.word(view, run, base, bucket) {
        known.last.put(run, base, bucket, word);
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

/// The bucket and the count of that word.
#[inline(always)]
fn last_of(last: u64) -> (usize, u64) {
    ((last >> LAST_COUNT_BITS) as usize, last & ((1 << LAST_COUNT_BITS) - 1))
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

#[inline(always)]
fn place_in(word: &AtomicU64, page: usize) -> Offset {
    (word.load(Acquire) >> (32 * (page % 2))) as Offset
}

fn place_of(places: &[AtomicU64], page: usize) -> Offset {
    place_in(&places[page / 2], page)
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

/// What a histogram holds, summed over the slots.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Sum of the values.
    pub sum: f64,
    /// Values too small for a bucket.
    pub zero: u64,
    /// Counts from the lowest bucket on; shorter than [`BUCKETS`] when the rest is empty.
    pub buckets: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { sum: 0.0, zero: 0, buckets: Vec::new() }
    }
}

impl Histogram {
    /// Adds one slot's run, whose histogram starts at `base`.
    pub fn add(&mut self, segment: &Segment, run: &[AtomicU64], base: usize) {
        self.sum += f64::from_bits(run[base + SUM].load(Relaxed));
        self.add_counts(segment, run, base);
    }

    /// The same of one that nanoseconds were recorded in.
    pub fn add_ns(&mut self, segment: &Segment, run: &[AtomicU64], base: usize) {
        self.sum += run[base + SUM].load(Relaxed) as f64 * 1e-9;
        self.add_counts(segment, run, base);
    }

    fn add_counts(&mut self, segment: &Segment, run: &[AtomicU64], base: usize) {
        // Before the buckets: what it held earlier stands there by now.
        let last = last_of(run[base + LAST].load(Acquire));
        self.zero += run[base + ZERO].load(Relaxed);
        for page in 0..PAGES {
            let place = place_of(&run[base + PLACES..], page);
            if let Some(words) = segment.at::<Page>(place) {
                self.add_page(page, words, last);
            }
        }
    }

    fn add_page(&mut self, page: usize, words: &Page, (last, count): (usize, u64)) {
        let start = page * PAGE_WORDS;
        if self.buckets.len() < start + PAGE_WORDS {
            self.buckets.resize(start + PAGE_WORDS, 0);
        }
        for (index, word) in words.0.iter().enumerate() {
            let stored = word.load(Relaxed);
            self.buckets[start + index] += if start + index == last { stored.max(count) } else { stored };
        }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.zero + self.buckets.iter().sum::<u64>()
    }

    /// The value below which a share `q` (0 to 1) of the values lies, off by at most [`RELATIVE_ERROR`]; None when
    /// there are none.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = self.zero;
        if rank <= seen {
            return Some(0.0);
        }
        for (bucket, n) in self.buckets.iter().enumerate() {
            seen += n;
            if rank <= seen {
                let middle = (0.5 / f64::from(SCALE_BUCKETS)).exp2();
                return Some(upper_bound(bucket) / middle);
            }
        }
        None
    }

    /// How many values are at most `bound`; exact where `bound` is a bucket's (every power of two is).
    pub fn count_up_to(&self, bound: f64) -> u64 {
        let below = match bucket_of(bound) {
            None => return self.zero,
            Some(bucket) => (bucket + 1).min(self.buckets.len()),
        };
        self.zero + self.buckets[..below].iter().sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::SegmentOptions;
    use crate::slot::lane::Run;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_powers_of_the_base() {
        for (j, bound) in BOUNDS.iter().enumerate() {
            let exact = (j as f64 / 16.0).exp2();
            let mantissa = exact.to_bits() & ((1 << 52) - 1);
            assert!(mantissa.abs_diff(*bound) <= 1, "{j}: {mantissa:x} {bound:x}");
        }
    }

    #[test]
    fn powers_of_two_close_their_bucket() {
        for exponent in -20..20 {
            let value = f64::from(exponent).exp2();
            let bucket = bucket_of(value).unwrap();
            assert_eq!(upper_bound(bucket), value);
            assert_eq!(bucket_of(value * 1.0001), Some(bucket + 1));
        }
    }

    #[test]
    fn the_ends_are_kept() {
        assert_eq!(bucket_of(0.0), None);
        assert_eq!(bucket_of(1e-12), None);
        assert_eq!(bucket_of(f64::MAX), Some(BUCKETS - 1));
        assert_eq!(bucket_of(f64::MIN_POSITIVE), None);
    }

    #[test]
    fn nanoseconds_fall_into_the_bucket_of_their_seconds() {
        // Up to five hours: beyond, a nanosecond is no more than the rounding of a 64-bit float.
        let near_bounds = (0..BUCKETS).map(|bucket| (upper_bound(bucket) * 1e9) as u64).take_while(|ns| *ns < 1 << 44);
        let around = near_bounds.flat_map(|ns| ns.saturating_sub(3)..ns + 4);
        for ns in around.chain(0..100_000).filter(|ns| *ns > 0) {
            let bucket = any_bucket_of(ns as f64, &NS_STEPS);
            assert_eq!(Some(bucket), bucket_of(ns as f64 * 1e-9), "{ns}");
        }
        assert!(any_bucket_of(0.0, &NS_STEPS) >= BUCKETS);
        assert!(any_bucket_of(i64::MAX as f64, &NS_STEPS) < BUCKETS);
    }

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

        #[test]
        fn every_value_lies_in_its_bucket(exponent in -33.0f64..61.0) {
            let value = exponent.exp2();
            let bucket = bucket_of(value).unwrap();
            prop_assert!(value <= upper_bound(bucket) * (1.0 + 1e-12));
            prop_assert!(bucket == 0 || value > upper_bound(bucket - 1) * (1.0 - 1e-12));
        }

        #[test]
        fn quantiles_keep_their_error(mut values in prop::collection::vec(1e-9f64..1e9, 1..200), q in 0.0f64..=1.0) {
            let mut histogram = Histogram { buckets: vec![0; BUCKETS], ..Histogram::default() };
            for value in &values {
                histogram.buckets[bucket_of(*value).unwrap()] += 1;
            }
            values.sort_by(f64::total_cmp);
            let rank = ((q * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let read = histogram.quantile(q).unwrap();
            prop_assert!((read / exact - 1.0).abs() <= RELATIVE_ERROR, "{} for {}", read, exact);
        }
    }
}
