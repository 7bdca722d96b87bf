//! Rate limits.

mod common;
pub mod fixed_window;
mod grid;
pub mod pacing;
pub mod sliding_counter;
pub mod sliding_window;
#[cfg(test)]
mod storm;
pub mod token_bucket;

pub use common::Refusal;
