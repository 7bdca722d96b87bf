//! Opening and closing.

use crate::arguments::{invalid, out, reference, reserved, sized, text, tg_str};
use crate::boundary::{Answer, cold};
use crate::host::PolicyHosts;
use crate::status::{tg_error, tg_status};
use std::ffi::c_char;
use std::ptr::null_mut;
use tidegate_core::clock::ClockSource;
use tidegate_core::segment::SegmentOptions;
use tidegate_core::{Error, ErrorKind, Options, Runtime};

const LIVE: u64 = u64::from_le_bytes(*b"tg_runti");

/// Time is the machine's monotonic clock.
pub const TG_CLOCK_MONOTONIC: u32 = 0;
/// Time stands still until tg_clock_set and tg_clock_advance move it: for tests.
pub const TG_CLOCK_VIRTUAL: u32 = 1;

/// In tg_features: this build runs WASM policies.
pub const TG_FEATURE_WASM: u64 = 1;

/// In tg_options.flags: rules may inject faults into this process's calls.
pub const TG_OPTION_FAULTS: u32 = 1;

/// What a runtime is opened with. Set by TG_OPTIONS_INIT, then change what is needed.
#[repr(C)]
pub struct tg_options {
    /// sizeof(tg_options).
    pub struct_size: u32,
    /// TG_CLOCK_MONOTONIC or TG_CLOCK_VIRTUAL.
    pub clock: u32,
    /// At most 128 of A-Z a-z 0-9 . _ -. A second open under the same name in this process, or in a child that it
    /// forked, is on the same segment, whatever its other options say. Empty: a private one.
    pub name: tg_str,
    /// Size of the segment: 1 MiB to 64 GiB; 0: 64 MiB. Memory comes as it is touched.
    pub segment_bytes: u64,
    /// Where a virtual clock starts, in ns.
    pub virtual_start_ns: u64,
    /// Thread slots, 1 to 1024; 0: 128. Threads beyond share one, more slowly.
    pub max_threads: u32,
    /// Guards, 1 to 65536; 0: 4096. Names beyond share the guard "tidegate.overflow".
    pub max_guards: u32,
    /// A sum of TG_OPTION_*.
    pub flags: u32,
    /// Zeros.
    pub reserved: [u8; 76],
}

/// An opened Tidegate.
#[repr(align(64))]
pub struct tg_runtime {
    life: u64,
    runtime: Runtime,
    pub(crate) hosts: PolicyHosts,
}

/// The runtime behind a handle.
///
/// # Safety
/// NULL, or a handle from tg_runtime_open.
pub(crate) unsafe fn handle<'a>(runtime: *const tg_runtime) -> Result<&'a tg_runtime, Error> {
    // SAFETY: by contract; handles are never freed.
    let handle = unsafe { reference("runtime", runtime) }?;
    if handle.life != LIVE {
        return Err(invalid("runtime: not a handle from tg_runtime_open"));
    }
    Ok(handle)
}

/// The open runtime behind a handle.
///
/// # Safety
/// As [`handle`].
pub(crate) unsafe fn opened<'a>(runtime: *const tg_runtime) -> Result<&'a Runtime, Error> {
    // SAFETY: by contract.
    let handle = unsafe { handle(runtime) }?;
    if handle.runtime.is_closed() {
        return Err(Error::new(ErrorKind::Closed, "the runtime was closed"));
    }
    Ok(&handle.runtime)
}

/// Opens a runtime. On success *out is a handle that is never unmapped; otherwise *out is NULL. options and error may
/// be NULL. COLD: TG_INVALID for a bad option, TG_UNSUPPORTED for one that is not known, TG_SYSTEM when memory is
/// refused, RLIMIT_FSIZE is less than the segment, or /proc is not mounted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_runtime_open(
    options: *const tg_options,
    out_runtime: *mut *mut tg_runtime,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers, checked by `out` and `sized`.
    unsafe {
        cold(error, || {
            let to = out("out", out_runtime)?;
            *to = null_mut();
            let options = if options.is_null() { Options::default() } else { read(sized("options", options)?)? };
            let runtime = Runtime::open(&options)?;
            let hosts = PolicyHosts::new(&runtime);
            *to = Box::leak(Box::new(tg_runtime { life: LIVE, runtime, hosts }));
            Ok(())
        })
    }
}

/// # Safety
/// The name's bytes are readable.
unsafe fn read(options: &tg_options) -> Result<Options, Error> {
    reserved("options", &options.reserved)?;
    let default = SegmentOptions::default();
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    let clock = match options.clock {
        TG_CLOCK_MONOTONIC => ClockSource::Monotonic,
        TG_CLOCK_VIRTUAL => ClockSource::Virtual(options.virtual_start_ns),
        other => {
            return Err(invalid(format!("options.clock: {other} is neither TG_CLOCK_MONOTONIC nor TG_CLOCK_VIRTUAL")));
        }
    };
    let segment = SegmentOptions {
        // SAFETY: by contract.
        name: unsafe { text("options.name", options.name) }?.to_owned(),
        bytes: or(options.segment_bytes, default.bytes),
        max_threads: or(options.max_threads.into(), default.max_threads.into()) as u32,
        max_guards: or(options.max_guards.into(), default.max_guards.into()) as u32,
    };
    if options.flags & !TG_OPTION_FAULTS != 0 {
        let what = "options.flags: a flag is set that this version of the library does not know";
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    Ok(Options { segment, clock, faults: options.flags & TG_OPTION_FAULTS != 0 })
}

/// Closes a runtime: gives back what this process holds, and the segment's pages, at once. Its handles answer TG_CLOSED
/// from now on, whatever other threads are doing with them; so the segment's range of addresses stays reserved (without
/// memory behind it), and each open and close takes segment_bytes more of what RLIMIT_AS grants. NULL is fine (TG_OK); a
/// second close is TG_CLOSED. The handle itself, and some 100 bytes a handle resolved from it, stay allocated. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_runtime_close(runtime: *mut tg_runtime) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe {
        cold(null_mut(), || {
            if runtime.is_null() {
                return Ok(());
            }
            let handle = handle(runtime)?;
            if !handle.runtime.close() {
                return Err(Error::new(ErrorKind::Closed, "the runtime was closed before"));
            }
            handle.hosts.close();
            Ok(())
        })
    }
}

/// Does now what this thread's first hot call would do (take its slot). COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_thread_prepare(runtime: *const tg_runtime) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe {
        cold(null_mut(), || {
            opened(runtime)?.prepare_thread()?;
            handle(runtime)?.hosts.prepare_thread();
            Ok(())
        })
    }
}

/// The library's version, such as "0.1.0". Static. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// What was built in: a sum of TG_FEATURE_*. The functions of what was not are there and answer TG_UNSUPPORTED. HOT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_features() -> u64 {
    if cfg!(feature = "wasm") { TG_FEATURE_WASM } else { 0 }
}

/// Answers that need nothing but an open runtime.
///
/// # Safety
/// As [`handle`].
pub(crate) unsafe fn with(
    runtime: *const tg_runtime,
    error: *mut tg_error,
    body: impl FnOnce(&tg_runtime, &Runtime) -> Answer,
) -> tg_status {
    // SAFETY: by contract.
    unsafe { cold(error, || body(handle(runtime)?, opened(runtime)?)) }
}
