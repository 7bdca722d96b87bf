//! What can go wrong, other than a refusal.

use std::fmt;

/// The kind of an [`Error`]; the numbers are those of `tg_status` and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ErrorKind {
    /// An argument or a document is wrong.
    Invalid = 100,
    /// The runtime was closed, or the guard or series retired.
    Closed = 101,
    /// This build or version does not know what was asked.
    Unsupported = 102,
    /// No room in the segment.
    Full = 103,
    /// The permit holds nothing: refused, zeroed or already exited.
    NotHeld = 104,
    /// The permit was entered in another process.
    Foreign = 105,
    /// `max_hold` had already taken the permit back.
    Expired = 106,
    /// Rules older than those in force, or the same version with other content.
    Conflict = 107,
    /// No such name.
    NotFound = 108,
    /// Another process holds the segment's cold lock for too long.
    Busy = 109,
    /// The operating system refused.
    System = 110,
    /// A fault of the library's own.
    Internal = 111,
    /// A module is not acceptable as a policy.
    PolicyRejected = 112,
}

/// An error with the sentence that explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind.
    pub kind: ErrorKind,
    /// What was wrong, where, and what would be right.
    pub message: String,
    /// How many things were wrong (a rules document reports all of them).
    pub count: u32,
}

impl Error {
    /// One thing was wrong.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), count: 1 }
    }

    /// The operating system refused `what`.
    pub fn system(what: &str) -> Self {
        Error::new(ErrorKind::System, format!("{what}: {}", std::io::Error::last_os_error()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A result with our [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
