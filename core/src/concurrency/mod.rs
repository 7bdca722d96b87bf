//! Concurrency limits: [`fixed`] counts what is in flight against a number. For an adaptive limit that number comes from
//! here.
//!
//! ```text
//!   each exit ──▶ sample (a thread's own words) ──▶ window over? ──▶ one caller sums, and turns it ──▶ adapt
//!                                                                        │
//!   each enter ◀── limit word ◀── clamp to min..=max ◀── aimd | vegas | gradient2
//! ```
//!
//! Per call an adaptive limit costs plain stores into the thread's own three words and a few reads of words that
//! change once a window. The mathematics runs once a window and may use floats.

pub mod adapt;
pub mod adaptive;
pub mod aimd;
pub mod fixed;
pub mod gradient2;
pub mod sample;
pub mod shed;
pub mod vegas;
pub mod window;
