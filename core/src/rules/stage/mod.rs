//! The table of fields, an object a file, each beside what is made of it.

mod backoff;
mod breaker;
mod budget;
mod concurrency;
mod deadline;
pub(super) mod document;
mod fault;
mod follow;
mod guard;
mod guards;
mod hedge;
mod keyed;
mod mode;
mod of_some;
mod outcomes;
mod overrides;
mod policy;
mod rate;
mod requires;
mod retry;
mod slow;
mod system;
mod throttle;

pub(super) use requires::FEATURES;

/// The release that brought the fields of schema 1.
const FIRST: &str = "0.1.0";
