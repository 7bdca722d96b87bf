//! Concurrency limits.

pub mod fixed;
