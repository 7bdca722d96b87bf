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
/// Words of a histogram in its run: sum, zero bucket, places of the pages (two a word).
pub const WORDS: usize = 2 + PAGES / 2;
const SUM: usize = 0;
const ZERO: usize = 1;
const PLACES: usize = 2;

/// For each 32nd of an octave, what is added to a value's bits so that those from bit 48 up count boundaries. As they
/// stand they count octaves and equal sixteenths of them. Added is by how many the boundaries that lie below are
/// more, and, where there is a boundary inside, what makes a mantissa over it carry into bit 48.
const STEPS: [u64; 32] = steps();

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

const fn steps() -> [u64; 32] {
    let mut steps = [0; 32];
    let mut step = 0;
    while step < 32 {
        let (start, end) = ((step as u64) << 47, (step as u64 + 1) << 47);
        let (mut below, mut carry, mut bound) = (0, 0, 0);
        while bound < 16 {
            if BOUNDS[bound] < start {
                below += 1;
            } else if BOUNDS[bound] < end {
                carry = (1 << 48) - 1 - (BOUNDS[bound] & ((1 << 48) - 1));
            }
            bound += 1;
        }
        let sixteenths = step as u64 / 2;
        steps[step] = ((below - sixteenths) << 48) + carry;
        step += 1;
    }
    steps
}

/// The bucket of a value of no sign, counted from the lowest: below 0 is the zero bucket, and there are more than [`BUCKETS`].
#[inline(always)]
fn any_bucket_of(value: f64) -> i64 {
    let bits = value.to_bits();
    let counted = bits.wrapping_add(STEPS[(bits >> 47) as usize % 32]) >> 48;
    counted as i64 - i64::from((1023 + LOWEST) * SCALE_BUCKETS + 1)
}

/// The bucket of a value over 2⁻³⁴ and finite, counted from the lowest; None: the zero bucket.
pub fn bucket_of(value: f64) -> Option<usize> {
    usize::try_from(any_bucket_of(value)).ok().map(|bucket| bucket.min(BUCKETS - 1))
}

/// The upper bound of a bucket.
pub fn upper_bound(bucket: usize) -> f64 {
    let index = bucket as i32 + LOWEST * SCALE_BUCKETS + 1;
    (f64::from(index) / f64::from(SCALE_BUCKETS)).exp2()
}

/// Records a value that is finite and not negative, at words `base`.. of the run.
#[inline(always)]
pub fn record<'a>(view: &View, run: impl Count<'a>, base: usize, value: f64) {
    if !run.is_read() {
        return;
    }
    run.change(base + SUM, |sum| (f64::from_bits(sum) + value).to_bits());
    let bucket = any_bucket_of(value) as usize;
    if bucket >= BUCKETS {
        return record_at_end(view, run, base, value);
    }
    count(view, run, base, bucket);
}

#[inline(always)]
fn count<'a>(view: &View, run: impl Count<'a>, base: usize, bucket: usize) {
    let number = bucket / PAGE_WORDS;
    let place = place_in(run.word(base + PLACES + number / 2), number);
    if let Some(page) = view.at::<Page>(place).or_else(|| make_page(view, run, base, number)) {
        run.add_to(&page.0[bucket % PAGE_WORDS], 1);
    }
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
        self.zero += run[base + ZERO].load(Relaxed);
        for page in 0..PAGES {
            let place = place_of(&run[base + PLACES..], page);
            if let Some(words) = segment.at::<Page>(place) {
                self.add_page(page, words);
            }
        }
    }

    fn add_page(&mut self, page: usize, words: &Page) {
        let end = (page + 1) * PAGE_WORDS;
        if self.buckets.len() < end {
            self.buckets.resize(end, 0);
        }
        for (sum, word) in self.buckets[page * PAGE_WORDS..end].iter_mut().zip(&words.0) {
            *sum += word.load(Relaxed);
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

    proptest! {
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
