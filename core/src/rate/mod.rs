//! Rate limits.

mod common;
pub mod fixed_window;
mod grid;
#[cfg(test)]
mod storm;
pub mod token_bucket;

pub use common::Refusal;
