//! libtidegate: the C ABI. One file a section of `include/tidegate.h`, which is generated from here.
//!
//! Every export checks what it was given, catches what would unwind, and answers with a [`status::tg_status`].
#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc, reason = "the header's top says once what callers owe every function")]

pub mod breaker;
pub mod clock;
pub mod counted;
pub mod deadline;
pub mod guard;
pub mod hedge;
pub mod hottest;
pub mod instrument;
pub mod limiter;
mod metrics;
pub mod policy;
pub mod retry;
pub mod rules;
pub mod runtime;
pub mod status;
pub mod system;
pub mod text;

mod arguments;
mod boundary;
mod host;
