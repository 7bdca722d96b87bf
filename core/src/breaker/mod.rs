//! The circuit breaker: closed, open, half-open.
//!
//! ```text
//!            consecutive failures, or ratio of bad calls
//!   closed ────────────────────────────────────────────▶ open
//!     ▲                                                  │  open_for passed, and a call comes
//!     │ all probes succeeded                             ▼
//!     └───────────────────────────────────────────── half-open
//!                            a probe failed: open again ──┘
//! ```
//!
//! The state is one word, so each change happens once. The consecutive count is another. The window is
//! kept in the thread slots and summed when a verdict is due; see [`window`] for the bound of its error.

pub mod state;
pub mod window;
