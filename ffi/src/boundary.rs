//! The boundary: no panic crosses it, and errors become a status and a message.

use crate::status::{TG_INTERNAL, TG_OK, of_kind, report, tg_error, tg_status};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_core::{Error, ErrorKind};

/// What an export's body answers.
pub type Answer = Result<(), Error>;

/// Runs the body of a cold export.
///
/// # Safety
/// `error` is NULL or the caller's struct.
pub unsafe fn cold(error: *mut tg_error, body: impl FnOnce() -> Answer) -> tg_status {
    let answer = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(internal()));
    // SAFETY: by contract.
    unsafe { report(error, &answer) };
    match answer {
        Ok(()) => TG_OK,
        Err(error) => of_kind(error.kind),
    }
}

/// Runs the body of a hot export.
#[inline(always)]
pub fn hot(body: impl FnOnce() -> tg_status) -> tg_status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(TG_INTERNAL)
}

/// Runs the body of an export that answers with a value.
pub fn value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// The status of a hot result.
#[inline(always)]
pub fn status_of(result: Result<(), ErrorKind>) -> tg_status {
    match result {
        Ok(()) => TG_OK,
        Err(kind) => of_kind(kind),
    }
}

fn internal() -> Error {
    Error::new(ErrorKind::Internal, "a fault of the library's own was caught; nothing is known to be changed")
}
