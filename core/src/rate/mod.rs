//! Rate limits: the algorithms, each usable alone, and one of them as a rule says.
//!
//! All have one shape: numbers compiled from a rule beforehand, and one word in the segment that they decide on with one compare-and-swap. The lowest bits of the
//! word tell which numbers it is of. `now` is nanoseconds of the runtime's clock; a reading older than the word never admits more.

mod algorithm;
pub(crate) mod common;
mod counted;
pub mod fixed_window;
pub mod follow;
mod grid;
pub mod keyed;
pub mod limiter;
pub mod pacing;
pub mod reserve;
pub mod sliding_counter;
pub mod sliding_window;
#[cfg(test)]
mod storm;
pub mod token_bucket;
pub mod warm_up;

pub(crate) use algorithm::OneWord;
pub use algorithm::{NotWithin, Rate};
pub use common::Refusal;
