//! The circuit breaker: closed, open, half-open, recovering; and what an operator may force.
//!
//! ```text
//!            failures in a row, or a window that is bad enough
//!   closed ────────────────────────────────────────────▶ open ◀─────────────┐
//!     ▲                                                   │  open_for passed, and a call comes
//!     │ recover_over passed          a probe too many     ▼                 │ bad enough
//!   recovering ◀─────────────────────── failed ◀──── half-open              │
//!     │  ▲                                                │                 │
//!     │  └────────────────────────────────────────────────┘                 │
//!     │       enough probes passed (closed at once without recover_over)    │
//!     └─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The state is one word ([`state`]), so each change ([`transition`]) happens once; the table of all changes stands there.
//! What a verdict is made of:
//!
//! - [`consecutive`]: failures in a row, one word;
//! - [`window`]: the calls of the last seconds, kept in the thread slots and summed when a verdict is due;
//! - [`last_calls`]: the last N calls, in words that all share, summed as they come;
//! - [`running`]: calls that have not ended yet and run too long already;
//! - [`threshold`]: what such a sum means.
//!
//! [`counts`] is another breaker, which leaves the verdict to its user: it counts, and changes its state when it is told to; [`handle`] gives it a place in a segment and a name.

pub mod consecutive;
pub mod counts;
pub mod handle;
pub mod last_calls;
pub mod recovery;
pub mod rolling;
pub mod running;
pub mod state;
pub mod threshold;
pub mod transition;
pub mod window;
