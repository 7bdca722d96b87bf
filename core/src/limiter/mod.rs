//! Limiters that stand alone, without a guard: by name, shared by all who resolve it in every process of the segment, or a caller's own.
//!
//! One word decides; the numbers that it is of stand beside it twice, so that they can be changed while it is used: see [`cell`].

pub mod cell;
pub mod figures;
pub mod handle;
mod numbers;
mod options;
mod resolve;

pub use handle::{Limiter, NotTaken, Reserved};
pub use options::{Algorithm, Options};
