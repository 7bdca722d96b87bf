//! Loads, runs and swaps policies: WebAssembly modules that take part in a guard's decisions.
//!
//! [`Host`] loads them; a guard finds them through [`PolicyHost`](tidegate_core::policy::PolicyHost)
//! and asks them through [`Policy`](tidegate_core::policy::Policy). What a guest has to export, may
//! import and is held to is written in `docs/policies.md`.
//!
//! A call of a policy, after a thread's first, allocates nothing, takes no lock and makes no system
//! call (but to wake the ticker, when no guest was called in this process for over a second). It never waits: whatever goes wrong in a guest is no answer, counted by
//! its cause, and the guard's `on_fail` decides.
//!
//! ```text
//! host       names → policies                     registry  the same, for the ticker
//! entry      a policy's hot path                  swap      what serves, is kept, is freed
//! uses       what each place is used for          lock      cold locks that know forks
//! place      where a generation serves            thread    which thread is where
//! generation a compiled module                    ticker    the one thread: deadlines, freeing
//! instance   a thread's own copy of it            altstack  the thread's signal stack, untouched
//! ```

#![deny(missing_docs)]

mod altstack;
mod arena;
mod attributes;
mod check;
mod deadline;
mod engine;
mod entry;
mod error;
mod figures;
mod generation;
mod golden;
mod guest;
mod host;
mod imports;
mod instance;
mod kv;
mod limiter;
mod lock;
mod log;
mod options;
mod place;
mod registry;
mod stack;
mod state;
mod strikes;
mod swap;
mod thread;
mod ticker;
#[cfg(test)]
mod torn;
mod uses;
mod verdict;

pub use arena::{ARENA_BYTES, VALUE_MAX_BYTES};
pub use error::{Cause, Phase, PolicyError};
pub use figures::{ACTIONS, Figures};
pub use host::{Host, POLICIES_MAX};
pub use kv::KEYS_MAX;
pub use log::{LOG_LINE_BYTES, LOG_LINES, LogLine};
pub use options::{DEADLINE_MAX_NS, INIT_DEADLINE_NS, MEMORY_MAX_BYTES, MODULE_MAX_BYTES, NAME_MAX_BYTES, Options};
pub use state::WORDS_MAX;
pub use swap::RETIRED_MAX;
pub use thread::THREADS_MAX;
pub use verdict::{DELAY_MAX_US, RETRY_AFTER_MAX_MS, decode};

/// The version of the contract with guests that this host speaks.
pub const ABI_VERSION: u32 = 1;
/// What stands in a guest's memory before the version, when its `tg_policy_abi` is an address: "TGPA".
pub const ABI_MAGIC: u32 = u32::from_le_bytes(*b"TGPA");
