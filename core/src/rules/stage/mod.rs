//! The table of fields, an object a file, each beside what is made of it.

mod breaker;
mod concurrency;
pub(super) mod document;
mod follow;
mod guard;
mod guards;
mod keyed;
mod mode;
mod overrides;
mod policy;
mod rate;
mod requires;
mod slow;
mod system;

pub(super) use requires::FEATURES;

/// The release that brought the fields of schema 1.
const FIRST: &str = "0.1.0";
