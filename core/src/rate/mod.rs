//! Rate limits.

pub mod keyed;
pub mod token_bucket;
