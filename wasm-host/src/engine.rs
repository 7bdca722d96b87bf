//! The one engine of the process.

use crate::error::PolicyError;
use crate::guest::GuestState;
use crate::imports;
use crate::lock;
use crate::trylock::TryLock;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::*};
use wasmtime::{Config, Engine, Linker, OptLevel, Result, WasmBacktraceDetails, WasmFeatures};

/// A guest's stack; threads that call policies need some more than this below them.
pub(crate) const STACK_MAX_BYTES: usize = 256 << 10;
/// Address space that an instance's memory gets at once; beyond it (when an operator grants more)
/// it moves.
const MEMORY_RESERVED_BYTES: u64 = 16 << 20;

/// The engine, and the imports that every guest is linked with.
pub(crate) struct Machine {
    pub engine: Engine,
    pub linker: Linker<GuestState>,
}

/// Never freed once made. Where a fork came while it was being made, the child makes its own.
static MACHINE: AtomicPtr<Machine> = AtomicPtr::new(null_mut());
static MAKING: TryLock<()> = TryLock::new(());

/// The machine, made at the first call.
pub(crate) fn machine() -> std::result::Result<&'static Machine, PolicyError> {
    if let Some(made) = made() {
        return Ok(made);
    }
    let _one_at_a_time = lock::cold(&MAKING, "the engine")?;
    if let Some(made) = made() {
        return Ok(made);
    }
    let machine = Machine::new().map_err(|error| PolicyError::Host { detail: format!("{error:#}") })?;
    let machine = Box::leak(Box::new(machine));
    MACHINE.store(machine, Release);
    Ok(machine)
}

fn made() -> Option<&'static Machine> {
    // SAFETY: null, or a machine that is never freed.
    unsafe { MACHINE.load(Acquire).as_ref() }
}

#[cfg(test)]
pub(crate) fn held() -> Option<impl Drop> {
    MACHINE.store(null_mut(), Release);
    MAKING.try_lock()
}

/// The engine, when there is one already.
pub(crate) fn engine() -> Option<&'static Engine> {
    made().map(|machine| &machine.engine)
}

impl Machine {
    fn new() -> Result<Self> {
        let engine = Engine::new(&config())?;
        let mut linker = Linker::new(&engine);
        imports::define(&mut linker)?;
        Ok(Self { engine, linker })
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .signals_based_traps(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_MAX_BYTES)
        .memory_reservation(MEMORY_RESERVED_BYTES)
        .memory_reservation_for_growth(0)
        .memory_guard_size(0)
        .guard_before_linear_memory(false)
        .memory_may_move(true)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // Registered frames would slow down every exception of a C++ host; no guest is unwound through.
        .native_unwind_info(false);
    restrict_features(&mut config);
    config
}

/// What clang and rustc emit for plain integer code by default, and nothing else.
fn restrict_features(config: &mut Config) {
    let off = WasmFeatures::all()
        - WasmFeatures::MUTABLE_GLOBAL
        - WasmFeatures::SIGN_EXTENSION
        - WasmFeatures::SATURATING_FLOAT_TO_INT
        - WasmFeatures::MULTI_VALUE
        - WasmFeatures::BULK_MEMORY
        - WasmFeatures::BULK_MEMORY_OPT
        - WasmFeatures::CALL_INDIRECT_OVERLONG
        - WasmFeatures::FLOATS;
    config.wasm_features(off, false);
}
