//! What a limiter's cell says to whoever reads metrics. **Cold.**

use super::cell::{Buckets, LimiterCell};
use crate::segment::{Offset, Segment};
use std::sync::atomic::Ordering::*;

/// A limiter with a name, as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimiterFigures {
    /// So much in each second.
    pub limit_per_second: f64,
    /// The most tokens of a token bucket; None: it is none, or has no end.
    pub burst: Option<u64>,
    /// What could be taken now; negative in debt.
    pub tokens: f64,
    /// How often taking or reserving was refused.
    pub rejected: u64,
}

/// How often a cell that changes meanwhile is read again.
const MOST_TRIES: u32 = 16;
const SECOND: f64 = 1e9;

/// Reads the cell at this place, as of `now`. None: there is none, or it changes all the time.
pub(crate) fn read(segment: &Segment, at: Offset, now: u64) -> Option<LimiterFigures> {
    let cell = segment.at::<LimiterCell>(at)?;
    let buckets = segment.at::<Buckets>(cell.buckets.load(Acquire)).map_or(&[][..], |table| &table.0);
    (0..MOST_TRIES).find_map(|_| {
        let options = cell.options()?;
        let set = cell.set_of(cell.word.load(Acquire))?;
        let tokens = set.numbers.tokens(&cell.word, buckets, now).ok()?;
        let per = if options.per_ns == 0 { SECOND } else { options.per_ns as f64 };
        let rejected = cell.rejected().load(Relaxed);
        Some(LimiterFigures { limit_per_second: options.limit * SECOND / per, burst: options.burst, tokens, rejected })
    })
}
