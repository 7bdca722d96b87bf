//! Rate limits.

mod common;
pub mod fixed_window;
mod grid;
pub mod limiter;
pub mod pacing;
pub mod reserve;
pub mod sliding_counter;
pub mod sliding_window;
#[cfg(test)]
mod storm;
pub mod token_bucket;

pub use common::Refusal;
