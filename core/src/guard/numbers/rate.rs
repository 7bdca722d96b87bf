//! The numbers of one rate limit, as words of a block.

use super::mode;
use crate::rate::token_bucket::Bucket;
use crate::rules::Mode;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One rate limit, and what it was before the last change, so that whoever meets a word of the old numbers can
/// bring it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Its numbers.
    pub bucket: Bucket,
    /// Its numbers before.
    pub before: Option<Bucket>,
    /// Its mode.
    pub mode: Mode,
}

/// The words: a bucket, the one before it, the mode.
#[repr(transparent)]
pub struct RateWords([AtomicU64; 9]);

impl RateWords {
    /// No limit.
    pub const fn none() -> RateWords {
        RateWords([const { AtomicU64::new(0) }; 9])
    }

    /// The limit's mode.
    #[inline(always)]
    pub fn mode(&self) -> Mode {
        mode(self.0[8].load(Relaxed))
    }

    /// Its numbers.
    #[inline(always)]
    pub fn bucket(&self) -> Bucket {
        self.bucket_at(0)
    }

    /// Its numbers before the last change.
    pub fn before(&self) -> Option<Bucket> {
        Some(self.bucket_at(4)).filter(|bucket| bucket.generation != 0)
    }

    #[inline(always)]
    fn bucket_at(&self, from: usize) -> Bucket {
        let packed = self.0[from + 1].load(Relaxed);
        Bucket {
            interval: self.0[from].load(Relaxed),
            shift: (packed & 63) as u32,
            tolerance: self.0[from + 2].load(Relaxed),
            unit: self.0[from + 3].load(Relaxed),
            generation: packed >> 8 & 15,
        }
    }

    pub(super) fn read(&self) -> Rate {
        Rate { bucket: self.bucket(), before: self.before(), mode: self.mode() }
    }

    pub(super) fn write(&self, rate: &Rate) {
        let none = Bucket { interval: 0, shift: 0, unit: 0, tolerance: 0, generation: 0 };
        let words = words_of(&rate.bucket).into_iter().chain(words_of(&rate.before.unwrap_or(none)));
        for (to, from) in self.0.iter().zip(words.chain([rate.mode as u64])) {
            to.store(from, Relaxed);
        }
    }
}

fn words_of(bucket: &Bucket) -> [u64; 4] {
    [bucket.interval, u64::from(bucket.shift) | bucket.generation << 8, bucket.tolerance, bucket.unit]
}
