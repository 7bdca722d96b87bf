//! Retries of a guard's calls: decided here, made by the caller.

use crate::arguments::is_usable;
use crate::boundary::hot;
use crate::guard::{about, guard_of, tg_call, tg_guard, tg_outcome};
use crate::status::{TG_INVALID, TG_NOT_HELD, TG_OK, TG_STOP_DONE, of_kind, tg_status};
use tidegate_core::ErrorKind;
use tidegate_core::guard::Outcome;
use tidegate_core::guard::retrying::Retrying;
use tidegate_core::retry::plan::{Attempt, Decision, Reason};

/// For tg_retry_next alone: a guard of ours refused the attempt, so the callee never saw it.
pub const TG_OUTCOME_REFUSED: tg_outcome = 64;

/// The retries of one logical call: the caller's own plain data. Zero-filled, it is one that was never begun.
#[repr(C)]
pub struct tg_retry {
    /// The library's own.
    pub opaque: [u64; 16],
}

const _: () = assert!(size_of::<Retrying>() <= size_of::<tg_retry>() && align_of::<Retrying>() <= 8);

/// Why there is no further attempt.
pub(crate) fn stopped(reason: Reason) -> tg_status {
    TG_STOP_DONE + reason as tg_status
}

/// Begins a logical call, before its first attempt, which earns the guard's budget its share. Of call (may be NULL) counts
/// what holds for all attempts together: criticality, timeout_ns, deadline_ns, TG_CALL_ONCE. Each attempt is then an enter and exit of its
/// own. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_retry_begin(
    guard: *const tg_guard,
    call: *const tg_call,
    retry: *mut tg_retry,
) -> tg_status {
    hot(|| {
        if !is_usable(retry.cast_const()) {
            return TG_INVALID;
        }
        // SAFETY: the caller's struct of its size; NULL or a handle; NULL or the caller's struct.
        unsafe {
            (*retry).opaque = [0; 16];
            let begun = match (guard_of(guard), about(call)) {
                (Some(guard), Ok(call)) => guard.begin_retry(&call),
                (None, _) => Err(ErrorKind::Invalid),
                (_, Err(error)) => Err(error.kind),
            };
            match begun {
                Ok(begun) => {
                    retry.cast::<Retrying>().write(begun);
                    TG_OK
                }
                Err(kind) => of_kind(kind),
            }
        }
    })
}

/// Says what to do after an attempt that ended with this outcome (TG_OUTCOME_REFUSED: the guard refused it). retry_after_ns is when
/// the callee, or tg_permit_retry_after, said to come back: 0: not said; UINT64_MAX: never. TG_OK: wait *wait_ns, then try
/// again. TG_STOP_*: the call is over, with what the last attempt gave. TG_NOT_HELD: it was never begun. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_retry_next(
    retry: *mut tg_retry,
    outcome: tg_outcome,
    retry_after_ns: u64,
    wait_ns: *mut u64,
) -> tg_status {
    hot(|| {
        if !is_usable(wait_ns.cast_const()) {
            return TG_INVALID;
        }
        // SAFETY: writable, as checked.
        unsafe { *wait_ns = 0 };
        let attempt = match outcome {
            TG_OUTCOME_REFUSED => Some(Attempt::Refused),
            outcome => Outcome::of(outcome).map(Attempt::Ended),
        };
        // SAFETY: NULL, or the caller's own.
        let (attempt, retry) = match (attempt, unsafe { begun(retry) }) {
            (Some(attempt), Ok(retry)) => (attempt, retry),
            (None, _) => return TG_INVALID,
            (_, Err(status)) => return status,
        };
        match retry.next(attempt, retry_after_ns) {
            Ok(Decision::Retry { wait_ns: wait }) => {
                // SAFETY: writable, as checked.
                unsafe { *wait_ns = wait };
                TG_OK
            }
            Ok(Decision::Stop(reason)) => stopped(reason),
            Ok(Decision::Stale) => of_kind(ErrorKind::Busy),
            Err(kind) => of_kind(kind),
        }
    })
}

/// The attempt that tg_retry_next said to make is not made (its caller left meanwhile): what it cost goes back to the
/// budget. Once; later calls change nothing. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_retry_abandon(retry: *mut tg_retry) -> tg_status {
    hot(|| {
        // SAFETY: NULL, or the caller's own.
        match unsafe { begun(retry) } {
            Ok(retry) => retry.abandon().map_or_else(of_kind, |()| TG_OK),
            Err(status) => status,
        }
    })
}

/// # Safety
/// NULL, or a caller's struct of its size.
unsafe fn begun<'a>(retry: *mut tg_retry) -> Result<&'a mut Retrying, tg_status> {
    if !is_usable(retry.cast_const()) {
        return Err(TG_INVALID);
    }
    // SAFETY: by contract; the seal says that the rest was written by us.
    unsafe {
        let [seal, guard, ..] = (*retry).opaque;
        if Retrying::is_begun([seal, guard]) { Ok(&mut *retry.cast()) } else { Err(TG_NOT_HELD) }
    }
}
