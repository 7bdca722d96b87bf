//! Exponential histograms at a fixed scale: 16 buckets an octave (OpenTelemetry's scale 4), so that a value
//! read back from its bucket is off by at most 2^(1/32) − 1 = 2.2 %.
//!
//! Bucket `i` holds the values in (2^(i/16), 2^((i+1)/16)], as OpenTelemetry and Prometheus count. Values up to 2⁻³⁴
//! (58 ps, as seconds) fall into the zero bucket, values over 2⁶² into the last. Buckets stand in pages of four
//! octaves that a slot makes when it first counts there.
//!
//! Source of the mapping: the OpenTelemetry metrics data model, "exponential histogram".

mod buckets;
mod record;

use crate::segment::{Offset, Segment};
use crate::slot::lane::{PAGE_WORDS, Page};
use std::sync::atomic::{AtomicU64, Ordering::*};

pub use buckets::{bucket_of, upper_bound};
pub use record::{Last, Remembered, give_back_pages, record, record_at_once, record_ns};

/// Buckets an octave.
pub const SCALE_BUCKETS: i32 = 16;
/// The largest relative error of a value that is read back.
pub const RELATIVE_ERROR: f64 = 0.022;
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

/// The bucket and the count of that word.
#[inline(always)]
fn last_of(last: u64) -> (usize, u64) {
    ((last >> LAST_COUNT_BITS) as usize, last & ((1 << LAST_COUNT_BITS) - 1))
}

#[inline(always)]
fn place_in(word: &AtomicU64, page: usize) -> Offset {
    (word.load(Acquire) >> (32 * (page % 2))) as Offset
}

fn place_of(places: &[AtomicU64], page: usize) -> Offset {
    place_in(&places[page / 2], page)
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

/// The counts alone, on the stack: for quantiles that a hot call reads.
pub struct Counts {
    zero: u64,
    buckets: [u64; BUCKETS],
}

impl Counts {
    /// Nothing.
    #[expect(clippy::new_without_default, reason = "twelve KiB are asked for by name")]
    pub fn new() -> Counts {
        Counts { zero: 0, buckets: [0; BUCKETS] }
    }

    /// These, of values that have a bucket.
    #[cfg(test)]
    pub(crate) fn of(buckets: [u64; BUCKETS]) -> Counts {
        Counts { zero: 0, buckets }
    }

    /// Makes these the same as others, in place.
    pub fn copy_from(&mut self, others: &Counts) {
        self.zero = others.zero;
        self.buckets.copy_from_slice(&others.buckets);
    }

    /// How many values have come since others were counted.
    pub fn count_since(&self, others: &Counts) -> u64 {
        let buckets = self.buckets.iter().zip(&others.buckets).map(|(now, before)| now.saturating_sub(*before));
        self.zero.saturating_sub(others.zero) + buckets.sum::<u64>()
    }

    /// Takes others off; none falls below 0.
    pub fn take_off(&mut self, others: &Counts) {
        self.zero = self.zero.saturating_sub(others.zero);
        self.buckets.iter_mut().zip(&others.buckets).for_each(|(mine, other)| *mine = mine.saturating_sub(*other));
    }

    /// Adds one slot's run, whose histogram starts at `base`.
    pub fn add(&mut self, segment: &Segment, run: &[AtomicU64], base: usize) {
        let last = last_of(run[base + LAST].load(Acquire));
        self.zero += run[base + ZERO].load(Relaxed);
        for page in 0..PAGES {
            if let Some(words) = segment.at::<Page>(place_of(&run[base + PLACES..], page)) {
                add_page(&mut self.buckets, page, words, last);
            }
        }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.zero + self.buckets.iter().sum::<u64>()
    }

    /// As [`Histogram::quantile`].
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(self.zero, &self.buckets, q)
    }
}

fn add_page(buckets: &mut [u64], page: usize, words: &Page, (last, count): (usize, u64)) {
    let start = page * PAGE_WORDS;
    for (index, word) in words.0.iter().enumerate() {
        let stored = word.load(Relaxed);
        buckets[start + index] += if start + index == last { stored.max(count) } else { stored };
    }
}

fn quantile(zero: u64, buckets: &[u64], q: f64) -> Option<f64> {
    let count = zero + buckets.iter().sum::<u64>();
    if count == 0 {
        return None;
    }
    let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
    let mut seen = zero;
    if rank <= seen {
        return Some(0.0);
    }
    for (bucket, n) in buckets.iter().enumerate() {
        seen += n;
        if rank <= seen {
            let middle = (0.5 / f64::from(SCALE_BUCKETS)).exp2();
            return Some(upper_bound(bucket) / middle);
        }
    }
    None
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

    fn add_page(&mut self, page: usize, words: &Page, last: (usize, u64)) {
        let room = (page + 1) * PAGE_WORDS;
        if self.buckets.len() < room {
            self.buckets.resize(room, 0);
        }
        add_page(&mut self.buckets, page, words, last);
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.zero + self.buckets.iter().sum::<u64>()
    }

    /// The value below which a share `q` (0 to 1) of the values lies, off by at most [`RELATIVE_ERROR`]; None when
    /// there are none.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(self.zero, &self.buckets, q)
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

    proptest! {
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
