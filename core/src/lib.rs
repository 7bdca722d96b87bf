//! State and decisions of Tidegate: clock, segment, limiters, breakers, instruments, the guard pipeline and
//! its rules. No threads, no I/O, no async.
//!
//! Functions are **hot** (no allocation, lock or system call after a thread's first call) or **cold**.

pub mod breaker;
pub mod clock;
pub mod concurrency;
pub mod deadline;
pub mod error;
pub mod fault;
pub mod fork;
pub mod guard;
pub mod hash;
pub mod limiter;
pub mod metrics;
pub mod policy;
pub mod random;
pub mod rate;
pub mod retry;
pub mod rules;
pub mod runtime;
pub mod segment;
pub mod slot;
pub mod system;
pub mod tagged;
pub mod throttle;
pub mod trylock;
pub mod word;

pub use error::{Error, ErrorKind, Result};
pub use guard::permit::Permit;
pub use guard::{Call, Criticality, NotEntered, Outcome, Stage};
pub use runtime::{Options, Runtime};
