//! Hedges of a guard's calls: decided here, sent by the caller.

use crate::arguments::is_usable;
use crate::boundary::hot;
use crate::guard::{about, guard_of, tg_call, tg_guard, tg_outcome};
use crate::retry::stopped;
use crate::status::{TG_INVALID, TG_NOT_HELD, TG_OK, of_kind, tg_status};
use tidegate_core::ErrorKind;
use tidegate_core::guard::Outcome;
use tidegate_core::guard::hedging::{Hedged, Hedging};

/// The hedges of one logical call: the caller's own plain data. Zero-filled, it is one that was never begun.
#[repr(C)]
pub struct tg_hedge {
    /// The library's own.
    pub opaque: [u64; 16],
}

const _: () = assert!(size_of::<Hedging>() <= size_of::<tg_hedge>() && align_of::<Hedging>() <= 8);

/// Begins a logical call, as its first attempt is sent, which earns the guard's budget its share. call as of
/// tg_retry_begin. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_hedge_begin(
    guard: *const tg_guard,
    call: *const tg_call,
    hedge: *mut tg_hedge,
) -> tg_status {
    hot(|| {
        if !is_usable(hedge.cast_const()) {
            return TG_INVALID;
        }
        // SAFETY: the caller's struct of its size; NULL or a handle; NULL or the caller's struct.
        unsafe {
            (*hedge).opaque = [0; 16];
            let begun = match (guard_of(guard), about(call)) {
                (Some(guard), Ok(call)) => guard.begin_hedge(&call),
                (None, _) => Err(ErrorKind::Invalid),
                (_, Err(error)) => Err(error.kind),
            };
            match begun {
                Ok(begun) => {
                    hedge.cast::<Hedging>().write(begun);
                    TG_OK
                }
                Err(kind) => of_kind(kind),
            }
        }
    })
}

/// Says whether another attempt is due while none has answered. TG_OK with *wait_ns of 0: send one now, it is paid for; with
/// more: ask again after so long. TG_STOP_*: there is no further one; wait for those that are out. TG_NOT_HELD: it was never
/// begun, or has ended. HOT, but for one call a second, which sums the guard's histogram.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_hedge_next(hedge: *mut tg_hedge, wait_ns: *mut u64) -> tg_status {
    hot(|| {
        if !is_usable(wait_ns.cast_const()) {
            return TG_INVALID;
        }
        // SAFETY: writable, as checked; NULL, or the caller's own.
        let hedge = unsafe {
            *wait_ns = 0;
            begun(hedge)
        };
        match hedge.map(Hedging::ask) {
            Ok(Ok(Hedged::Send)) => TG_OK,
            Ok(Ok(Hedged::Wait(ns))) => {
                // SAFETY: writable, as checked.
                unsafe { *wait_ns = ns };
                TG_OK
            }
            Ok(Ok(Hedged::Stop(reason))) => stopped(reason),
            Ok(Err(kind)) => of_kind(kind),
            Err(status) => status,
        }
    })
}

/// The call has ended, with the outcome of the answer that counts. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_hedge_end(hedge: *mut tg_hedge, outcome: tg_outcome) -> tg_status {
    hot(|| {
        let Some(outcome) = Outcome::of(outcome) else { return TG_INVALID };
        // SAFETY: NULL, or the caller's own.
        match unsafe { begun(hedge) } {
            Ok(hedge) => hedge.end(outcome).map_or_else(of_kind, |()| TG_OK),
            Err(status) => status,
        }
    })
}

/// # Safety
/// NULL, or a caller's struct of its size.
unsafe fn begun<'a>(hedge: *mut tg_hedge) -> Result<&'a mut Hedging, tg_status> {
    if !is_usable(hedge.cast_const()) {
        return Err(TG_INVALID);
    }
    // SAFETY: by contract; the seal says that the rest was written by us.
    unsafe {
        let [seal, guard, ..] = (*hedge).opaque;
        if Hedging::is_begun([seal, guard]) { Ok(&mut *hedge.cast()) } else { Err(TG_NOT_HELD) }
    }
}
