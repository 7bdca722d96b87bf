//! Rate limits.

pub mod token_bucket;
