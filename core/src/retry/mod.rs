//! Trying again: when, how often, and at whose cost.
//!
//! [`plan`] decides after each attempt of one logical call whether another is made, [`backoff`] how long to wait before it, and a
//! [`budget`], shared by all callers of the callee, keeps retries a small share of the load, so that they cannot keep a
//! callee down that is trying to come back. [`hedge`] sends a second attempt before the first has ended; it learns
//! when that is due from a [`quantile`].

pub mod backoff;
pub mod budget;
pub mod hedge;
pub mod plan;
pub mod quantile;

pub use backoff::{Backoff, Growth, Jitter};
pub use budget::{Budget, Exhausted};
pub use plan::{Attempt, Decision, Plan, Reason, Retry};
