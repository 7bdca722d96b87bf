//! Policies: WASM modules that take part in decisions (see docs/policies.md).

use crate::arguments::{bytes, invalid, out, reserved, sized, text, tg_str};
use crate::host::Load;
use crate::runtime::{tg_runtime, with};
use crate::status::{tg_error, tg_status};
use std::ptr::null_mut;
use tidegate_core::Error;

/// How a policy is loaded. Set by TG_POLICY_OPTIONS_INIT.
#[repr(C)]
pub struct tg_policy_options {
    /// sizeof(tg_policy_options).
    pub struct_size: u32,
    /// Zero.
    pub flags: u32,
    /// Handed to the guest's init, as a rule JSON; may be empty.
    pub config: tg_str,
    /// Processor time that one decision may take; 0: 1 ms; at most 1 s.
    pub deadline_ns: u64,
    /// How far an instance's memory may grow; 0: 16 MiB; at most 256 MiB.
    pub memory_max_bytes: u64,
    /// Zeros.
    pub reserved: [u8; 64],
}

/// What a load is to be, from the caller's arguments.
///
/// # Safety
/// The caller's pointers.
unsafe fn read<'a>(wasm: *const u8, len: usize, options: *const tg_policy_options) -> Result<Load<'a>, Error> {
    // SAFETY: by contract.
    unsafe {
        let wasm = bytes("wasm", wasm, len)?;
        if options.is_null() {
            return Ok(Load { wasm, ..Load::default() });
        }
        let options = sized("options", options)?;
        reserved("options", &options.reserved)?;
        if options.flags != 0 {
            return Err(invalid("options.flags: must be 0"));
        }
        let config = bytes("options.config", options.config.ptr.cast(), options.config.len)?;
        let (deadline_ns, memory_max_bytes) = (options.deadline_ns, options.memory_max_bytes);
        Ok(Load { wasm, config, deadline_ns, memory_max_bytes })
    }
}

/// Checks a module, compiles it, tries it out, then publishes it under a name with one store. A name loaded before is
/// swapped: no call is refused or lost by it, and calls in flight stay with the generation that they entered with.
/// options may be NULL. TG_POLICY_REJECTED says why in error; what was in force stays. TG_UNSUPPORTED in a build without
/// WASM. COLD: it compiles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_policy_load(
    runtime: *const tg_runtime,
    name: tg_str,
    wasm: *const u8,
    len: usize,
    options: *const tg_policy_options,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe { with(runtime, error, |handle, _| handle.hosts.load(text("name", name)?, &read(wasm, len, options)?)) }
}

/// Does what tg_policy_load does, but does not publish. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_policy_check(
    runtime: *const tg_runtime,
    wasm: *const u8,
    len: usize,
    options: *const tg_policy_options,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe { with(runtime, error, |handle, _| handle.hosts.check(&read(wasm, len, options)?)) }
}

/// Lets the previous good generation serve again, which was kept compiled. TG_NOT_FOUND when there is none. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_policy_rollback(
    runtime: *const tg_runtime,
    name: tg_str,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe { with(runtime, error, |handle, _| handle.hosts.rollback(text("name", name)?)) }
}

/// Takes a policy away: guards that name it answer by their on_fail. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_policy_unload(runtime: *const tg_runtime, name: tg_str) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe { with(runtime, null_mut(), |handle, _| handle.hosts.unload(text("name", name)?)) }
}

/// The number of the generation that serves: 1, 2, 3…; 0 when it failed too often and there was no earlier one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_policy_generation(
    runtime: *const tg_runtime,
    name: tg_str,
    generation: *mut u64,
) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe {
        with(runtime, null_mut(), |handle, _| {
            let to = out("generation", generation)?;
            *to = handle.hosts.generation(text("name", name)?)?;
            Ok(())
        })
    }
}
