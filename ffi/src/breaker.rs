//! What an operator may do to a guard's breaker, and who hears of its changes.

use crate::arguments::{invalid, is_usable, out};
use crate::boundary::cold;
use crate::guard::{alive, tg_guard};
use crate::status::tg_status;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use tidegate_core::breaker::state::{Change, State};
use tidegate_core::breaker::transition::Forced;
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::watch::Watcher;

/// The guard has no breaker, or an operator disabled it: calls pass and are neither counted nor judged.
pub const TG_BREAKER_DISABLED: u32 = 0;
/// The breaker lets pass.
pub const TG_BREAKER_CLOSED: u32 = 1;
/// The breaker refuses.
pub const TG_BREAKER_OPEN: u32 = 2;
/// The breaker lets probes pass.
pub const TG_BREAKER_HALF_OPEN: u32 = 3;
/// The breaker lets a rising share pass.
pub const TG_BREAKER_RECOVERING: u32 = 4;
/// An operator has it refuse everything.
pub const TG_BREAKER_FORCED_OPEN: u32 = 5;
/// An operator has it let pass and count, and never open.
pub const TG_BREAKER_FORCED_CLOSED: u32 = 6;

/// Why a breaker changed.
pub type tg_breaker_reason = u32;
/// Somebody said so who gave no other reason.
pub const TG_BREAKER_TOLD: tg_breaker_reason = 0;
/// Too many failures in a row.
pub const TG_BREAKER_FAILURES_IN_A_ROW: tg_breaker_reason = 1;
/// Too many bad calls in the window.
pub const TG_BREAKER_ERROR_COUNT: tg_breaker_reason = 2;
/// Too large a share of bad calls in the window.
pub const TG_BREAKER_ERROR_RATIO: tg_breaker_reason = 3;
/// Too large a share of slow calls in the window.
pub const TG_BREAKER_SLOW_RATIO: tg_breaker_reason = 4;
/// So many probes failed that not enough can pass.
pub const TG_BREAKER_PROBES_FAILED: tg_breaker_reason = 5;
/// Enough probes passed.
pub const TG_BREAKER_PROBES_PASSED: tg_breaker_reason = 6;
/// Probes did not come back in time.
pub const TG_BREAKER_PROBES_LOST: tg_breaker_reason = 7;
/// open_for passed.
pub const TG_BREAKER_OPEN_ENDED: tg_breaker_reason = 8;
/// recover_over passed.
pub const TG_BREAKER_RECOVERED: tg_breaker_reason = 9;
/// An operator forced it.
pub const TG_BREAKER_FORCED: tg_breaker_reason = 10;
/// An operator reset it.
pub const TG_BREAKER_RESET: tg_breaker_reason = 11;

/// A change of a breaker.
#[repr(C)]
pub struct tg_breaker_change {
    /// sizeof(tg_breaker_change) as this library knows it.
    pub struct_size: u32,
    /// TG_BREAKER_*: where it stood.
    pub from: u32,
    /// TG_BREAKER_*: where it stands.
    pub to: u32,
    /// Why.
    pub reason: tg_breaker_reason,
    /// The generation that it is in now, modulo 1024: says which of two changes came first.
    pub generation: u64,
    /// Whose breaker it is.
    pub guard: *const tg_guard,
    /// Zeros.
    pub reserved: [u8; 32],
}

/// Hears of a change, on the thread whose call changed the breaker, without any lock held. It may call the library. `change` is
/// readable until it returns. It must return: neither throw nor longjmp.
pub type tg_breaker_callback = Option<unsafe extern "C" fn(ctx: *mut c_void, change: *const tg_breaker_change)>;

/// Frees what a callback was given; NULL where there is nothing to free.
pub type tg_free_callback = Option<unsafe extern "C" fn(ctx: *mut c_void)>;

/// The number of a state.
pub fn number_of(state: State) -> u32 {
    match state {
        State::Disabled => TG_BREAKER_DISABLED,
        State::Closed => TG_BREAKER_CLOSED,
        State::Open => TG_BREAKER_OPEN,
        State::HalfOpen => TG_BREAKER_HALF_OPEN,
        State::Recovering => TG_BREAKER_RECOVERING,
        State::ForcedOpen => TG_BREAKER_FORCED_OPEN,
        State::ForcedClosed => TG_BREAKER_FORCED_CLOSED,
    }
}

/// Sets a guard's breaker by hand, in every process on the segment: TG_BREAKER_FORCED_OPEN, TG_BREAKER_FORCED_CLOSED or
/// TG_BREAKER_DISABLED until it is set again; TG_BREAKER_CLOSED resets it, with an empty window. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_set_breaker(guard: *const tg_guard, state: u32) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe {
        cold(null_mut(), || {
            let guard = alive(guard)?;
            match state {
                TG_BREAKER_CLOSED => guard.reset_breaker(),
                TG_BREAKER_FORCED_OPEN => guard.force_breaker(Forced::Open),
                TG_BREAKER_FORCED_CLOSED => guard.force_breaker(Forced::Closed),
                TG_BREAKER_DISABLED => guard.force_breaker(Forced::Disabled),
                other => {
                    Err(invalid(format!("state: {other} cannot be set; expected closed, disabled or a forced one")))
                }
            }
        })
    }
}

/// Calls `callback` with `ctx` at every change that a call of this process makes to the guard's breaker (those that other
/// processes make show in the metrics). `free` is called exactly once: when the watch has ended and the last call has
/// returned, or before this returns when it fails. At most 64 a guard; a forked child has none. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_watch_breaker(
    guard: *const tg_guard,
    callback: tg_breaker_callback,
    ctx: *mut c_void,
    free: tg_free_callback,
    out_watch: *mut u64,
) -> tg_status {
    let callback = Callback { callback, ctx, free };
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe {
        cold(null_mut(), || {
            let to = out("watch", out_watch)?;
            if callback.callback.is_none() {
                return Err(invalid("callback: NULL"));
            }
            *to = alive(guard)?.watch(Arc::new(callback))?;
            Ok(())
        })
    }
}

/// Ends a watch: returns at once, also from within the callback; calls that have begun go on. TG_NOT_FOUND: there is no such
/// watch. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_guard_unwatch_breaker(guard: *const tg_guard, watch: u64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe {
        cold(null_mut(), || {
            let guard = guard.cast::<Guard>();
            if !is_usable(guard) {
                return Err(invalid("guard: NULL or misaligned"));
            }
            // A guard that is gone still lets its watchers go.
            (*guard).unwatch(watch)
        })
    }
}

/// A callback of C's, freed when it is dropped.
struct Callback {
    callback: tg_breaker_callback,
    ctx: *mut c_void,
    free: tg_free_callback,
}

// SAFETY: the caller says that its callback may be called by any thread.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Watcher for Callback {
    fn changed(&self, guard: &'static Guard, change: Change) {
        let Some(callback) = self.callback else { return };
        let change = tg_breaker_change {
            struct_size: size_of::<tg_breaker_change>() as u32,
            from: number_of(change.from),
            to: number_of(change.to),
            reason: change.reason as u32,
            generation: change.generation,
            guard: std::ptr::from_ref(guard).cast(),
            reserved: [0; 32],
        };
        // SAFETY: by contract.
        unsafe { callback(self.ctx, &raw const change) };
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: by contract; once.
            unsafe { free(self.ctx) };
        }
    }
}
