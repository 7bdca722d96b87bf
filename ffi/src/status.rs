//! What calls answer.

use crate::boundary::Answer;
use std::ffi::c_char;
use tidegate_core::{Error, ErrorKind, Stage};

/// What a call answers: TG_OK, a refusal (1 to 99, one number a stage), an error (100 to 199), or why there is no
/// further attempt (200 and up). Numbers are never
/// used again for something else.
pub type tg_status = i32;

/// Done, or admitted.
pub const TG_OK: tg_status = 0;
/// Refused: no time left.
pub const TG_REFUSED_DEADLINE: tg_status = 1;
/// Refused: a fault injected on purpose; the reason is the outcome that it stands for.
pub const TG_REFUSED_FAULT: tg_status = 2;
/// Refused: the circuit breaker is open, or has its probes out.
pub const TG_REFUSED_BREAKER: tg_status = 3;
/// Refused: the callee refuses most calls, so that only a share of them is sent.
pub const TG_REFUSED_THROTTLE: tg_status = 4;
/// Refused: a policy said so.
pub const TG_REFUSED_POLICY: tg_status = 5;
/// Refused: the process is overloaded (a later version).
pub const TG_REFUSED_SYSTEM: tg_status = 6;
/// Refused: as many calls are in flight as may be.
pub const TG_REFUSED_CONCURRENCY: tg_status = 7;
/// Refused: too few tokens.
pub const TG_REFUSED_RATE: tg_status = 8;
/// An argument or a document is wrong; nothing was changed.
pub const TG_INVALID: tg_status = 100;
/// The runtime was closed, or the guard or series retired.
pub const TG_CLOSED: tg_status = 101;
/// This build or version does not know what was asked.
pub const TG_UNSUPPORTED: tg_status = 102;
/// No room in the segment.
pub const TG_FULL: tg_status = 103;
/// The permit holds nothing: refused, zeroed, or already exited.
pub const TG_NOT_HELD: tg_status = 104;
/// The permit was entered in another process (before a fork).
pub const TG_FOREIGN: tg_status = 105;
/// max_hold had already taken the permit back; the outcome was counted.
pub const TG_EXPIRED: tg_status = 106;
/// Rules older than those in force, or the same version with other content.
pub const TG_CONFLICT: tg_status = 107;
/// No such name.
pub const TG_NOT_FOUND: tg_status = 108;
/// Another thread or process has held a cold lock for two seconds (a policy of this name, for ten).
pub const TG_BUSY: tg_status = 109;
/// The operating system refused; the message says what.
pub const TG_SYSTEM: tg_status = 110;
/// A fault of the library's own, caught.
pub const TG_INTERNAL: tg_status = 111;
/// The module is not acceptable as a policy.
pub const TG_POLICY_REJECTED: tg_status = 112;

/// No further attempt: the last one was a success.
pub const TG_STOP_DONE: tg_status = 200;
/// No further attempt: its outcome is not one that is tried again, or what refused it does not say when to come back.
pub const TG_STOP_NOT_RETRYABLE: tg_status = 201;
/// No further attempt: as many were made as may be.
pub const TG_STOP_ATTEMPTS: tg_status = 202;
/// No further attempt: it would begin later than max_elapsed after the first.
pub const TG_STOP_ELAPSED: tg_status = 203;
/// No further attempt: it would not begin before the deadline.
pub const TG_STOP_DEADLINE: tg_status = 204;
/// No further attempt: the guard's budget has nothing left for it.
pub const TG_STOP_BUDGET: tg_status = 205;
/// No further attempt: the call must not be made twice.
pub const TG_STOP_NOT_IDEMPOTENT: tg_status = 206;

const NAMES: [(tg_status, &std::ffi::CStr); 29] = [
    (TG_OK, c"TG_OK"),
    (TG_REFUSED_DEADLINE, c"TG_REFUSED_DEADLINE"),
    (TG_REFUSED_FAULT, c"TG_REFUSED_FAULT"),
    (TG_REFUSED_BREAKER, c"TG_REFUSED_BREAKER"),
    (TG_REFUSED_THROTTLE, c"TG_REFUSED_THROTTLE"),
    (TG_REFUSED_POLICY, c"TG_REFUSED_POLICY"),
    (TG_REFUSED_SYSTEM, c"TG_REFUSED_SYSTEM"),
    (TG_REFUSED_CONCURRENCY, c"TG_REFUSED_CONCURRENCY"),
    (TG_REFUSED_RATE, c"TG_REFUSED_RATE"),
    (TG_INVALID, c"TG_INVALID"),
    (TG_CLOSED, c"TG_CLOSED"),
    (TG_UNSUPPORTED, c"TG_UNSUPPORTED"),
    (TG_FULL, c"TG_FULL"),
    (TG_NOT_HELD, c"TG_NOT_HELD"),
    (TG_FOREIGN, c"TG_FOREIGN"),
    (TG_EXPIRED, c"TG_EXPIRED"),
    (TG_CONFLICT, c"TG_CONFLICT"),
    (TG_NOT_FOUND, c"TG_NOT_FOUND"),
    (TG_BUSY, c"TG_BUSY"),
    (TG_SYSTEM, c"TG_SYSTEM"),
    (TG_INTERNAL, c"TG_INTERNAL"),
    (TG_POLICY_REJECTED, c"TG_POLICY_REJECTED"),
    (TG_STOP_DONE, c"TG_STOP_DONE"),
    (TG_STOP_NOT_RETRYABLE, c"TG_STOP_NOT_RETRYABLE"),
    (TG_STOP_ATTEMPTS, c"TG_STOP_ATTEMPTS"),
    (TG_STOP_ELAPSED, c"TG_STOP_ELAPSED"),
    (TG_STOP_DEADLINE, c"TG_STOP_DEADLINE"),
    (TG_STOP_BUDGET, c"TG_STOP_BUDGET"),
    (TG_STOP_NOT_IDEMPOTENT, c"TG_STOP_NOT_IDEMPOTENT"),
];

/// Details of an error, written into the caller's own struct: a NULL is fine where one is asked for.
#[repr(C)]
pub struct tg_error {
    /// sizeof(tg_error), as TG_ERROR_INIT sets it.
    pub struct_size: u32,
    /// The status that the call returned.
    pub status: i32,
    /// How many things were wrong.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
    /// What was wrong, where, and what would be right; UTF-8, NUL-terminated, cut to fit.
    pub message: [c_char; 496],
}

/// Whether a status is a refusal (1 to 99) rather than TG_OK or an error. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_is_refusal(status: tg_status) -> bool {
    (1..100).contains(&status)
}

/// The name of a status, such as "TG_REFUSED_RATE"; "unknown" for a number that is none. Static. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_status_name(status: tg_status) -> *const c_char {
    let known = NAMES.iter().find(|(number, _)| *number == status);
    known.map_or(c"unknown", |(_, name)| *name).as_ptr()
}

/// The status of a refusal.
pub(crate) fn of_stage(stage: Stage) -> tg_status {
    stage as tg_status
}

/// The status of an error.
pub(crate) fn of_kind(kind: ErrorKind) -> tg_status {
    kind as tg_status
}

/// Fills the caller's error, if there is one and it says how large it is.
///
/// # Safety
/// `error` is NULL or points to a struct that begins with its size.
pub(crate) unsafe fn report(error: *mut tg_error, answer: &Answer) {
    // SAFETY: by contract; no more is written than the struct says it has.
    unsafe {
        let Some(size) = error.as_ref().map(|error| error.struct_size as usize) else { return };
        let message_at = std::mem::offset_of!(tg_error, message);
        if size <= message_at {
            return;
        }
        let room = (size - message_at).min(496);
        let (status, count, text) = match answer {
            Ok(()) => (TG_OK, 0, ""),
            Err(Error { kind, message, count }) => (of_kind(*kind), *count, message.as_str()),
        };
        (*error).status = status;
        (*error).count = count;
        let cut = text.floor_char_boundary(room - 1);
        let message = (&raw mut (*error).message).cast::<u8>();
        std::ptr::copy_nonoverlapping(text.as_ptr(), message, cut);
        *message.add(cut) = 0;
    }
}
