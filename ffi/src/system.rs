//! Protection of the process: who tells the guards of the container's load.

use crate::arguments::{invalid, out};
use crate::boundary::cold;
use crate::runtime::{opened, tg_runtime};
use crate::status::{tg_error, tg_status};
use std::ptr::null_mut;
use tidegate_core::Error;
use tidegate_core::system::gate::Load;

/// Reads CPU and memory of the container (of the machine, where there is none) from the kernel's files, and tells every guard
/// of every process on the segment. The library starts no thread for it: call it every 250 ms or so while
/// tg_system_wanted says 1, in one process of those on the segment. What was sampled holds for 10 s; without it the
/// `system` stage lets pass. The CPU is known from a process's second call on. COLD: TG_SYSTEM when there is nothing to read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_system_sample(runtime: *const tg_runtime, error: *mut tg_error) -> tg_status {
    // SAFETY: NULL or a handle; NULL or the caller's struct.
    unsafe { cold(error, || opened(runtime)?.sample_load().map(drop)) }
}

/// Says in place of tg_system_sample what the load is: for hosts that measure it themselves, and for tests. Each is a share,
/// 0 (not known) to 1. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_system_set(runtime: *const tg_runtime, cpu: f64, memory: f64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe {
        cold(null_mut(), || {
            let load = Load { cpu: permille("cpu", cpu)?, memory: permille("memory", memory)? };
            opened(runtime)?.set_load(load)
        })
    }
}

fn permille(name: &str, share: f64) -> Result<u32, Error> {
    if (0.0..=1.0).contains(&share) {
        return Ok((share * 1000.0).round() as u32);
    }
    Err(invalid(format!("{name}: {share} is not within 0 and 1")))
}

/// Whether rules in force have a `system` stage, so that somebody should sample: 1 or 0. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_system_wanted(runtime: *const tg_runtime, wanted: *mut u32) -> tg_status {
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe {
        cold(null_mut(), || {
            let to = out("wanted", wanted)?;
            *to = opened(runtime)?.wants_load()?.into();
            Ok(())
        })
    }
}
