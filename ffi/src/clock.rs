//! The runtime's clock.

use crate::arguments::out;
use crate::runtime::{tg_runtime, with};
use crate::status::{tg_error, tg_status};
use std::ptr::null_mut;

const NO_ERROR: *mut tg_error = null_mut();

/// Reads the runtime's clock, in ns. Cheap, but not among the HOT: it checks the handle thoroughly.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_clock_now(runtime: *const tg_runtime, ns: *mut u64) -> tg_status {
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe {
        with(runtime, NO_ERROR, |_, runtime| {
            *out("ns", ns)? = runtime.clock().now();
            Ok(())
        })
    }
}

/// Moves a virtual clock to ns, which may lie before now. TG_UNSUPPORTED when the clock is not virtual. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_clock_set(runtime: *const tg_runtime, ns: u64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { with(runtime, NO_ERROR, |_, runtime| runtime.clock().set(ns)) }
}

/// Moves a virtual clock on by ns. TG_UNSUPPORTED when the clock is not virtual. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_clock_advance(runtime: *const tg_runtime, ns: u64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { with(runtime, NO_ERROR, |_, runtime| runtime.clock().advance(ns)) }
}
