//! The one engine of the process (and, where a fork came at a bad moment, those of its parents).

use crate::error::PolicyError;
use crate::guest::GuestState;
use crate::imports;
use crate::lock;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};
use tidegate_core::fork;
use tidegate_core::trylock::TryLock;
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
    /// What generations loaded by a parent are of, when a fork tore that.
    older: Option<&'static Machine>,
}

/// Never freed once made. The engine has locks that do not know forks, so a child whose parent had a thread in it makes
/// another one for what it loads itself; see [`enter`].
static MACHINE: AtomicPtr<Machine> = AtomicPtr::new(null_mut());
static MAKING: TryLock<()> = TryLock::new(());

/// How many threads are in the engine on cold paths (lowest bits), whether the newest machine is torn, and the fork epoch
/// of which this is true.
static USERS: AtomicU64 = AtomicU64::new(0);
const TORN: u64 = 1 << 16;
const EPOCH_AT: u32 = 17;

/// Counts a thread in, until dropped: a child forked meanwhile will know.
pub(crate) struct User(());

impl User {
    /// **Cold**, but waits for nobody.
    pub fn new() -> Self {
        let count = |word| Some(of_this_process(word) + 1);
        let _ = USERS.fetch_update(SeqCst, SeqCst, count);
        User(())
    }
}

impl Drop for User {
    fn drop(&mut self) {
        USERS.fetch_sub(1, SeqCst);
    }
}

/// A child finds its parent's word: where that counts anybody, the machine is torn.
fn of_this_process(word: u64) -> u64 {
    let here = fork::epoch() << EPOCH_AT;
    if word >> EPOCH_AT << EPOCH_AT == here {
        return word;
    }
    let in_use = word & ((1 << EPOCH_AT) - 1) != 0;
    here | if in_use { TORN } else { 0 }
}

/// The machine to load with, made where there is none or a fork tore it, and this thread counted in.
pub(crate) fn enter() -> std::result::Result<(User, &'static Machine), PolicyError> {
    let user = User::new();
    if let Some(sound) = sound() {
        return Ok((user, sound));
    }
    let _one_at_a_time = lock::cold(&MAKING, "the engine")?;
    if let Some(sound) = sound() {
        return Ok((user, sound));
    }
    let machine = Machine::new(newest()).map_err(|error| PolicyError::Host { detail: format!("{error:#}") })?;
    let machine = Box::leak(Box::new(machine));
    MACHINE.store(machine, SeqCst);
    USERS.fetch_and(!TORN, SeqCst);
    Ok((user, machine))
}

/// The newest machine, unless it is torn. To be asked by who is counted in.
fn sound() -> Option<&'static Machine> {
    newest().filter(|_| USERS.load(SeqCst) & TORN == 0)
}

fn newest() -> Option<&'static Machine> {
    // SAFETY: null, or a machine that is never freed.
    unsafe { MACHINE.load(SeqCst).as_ref() }
}

/// Lets a tick pass for every guest.
pub(crate) fn tick() {
    std::iter::successors(newest(), |machine| machine.older).for_each(|machine| machine.engine.increment_epoch());
}

#[cfg(test)]
pub(crate) fn held() -> Option<impl Drop> {
    MAKING.try_lock()
}

#[cfg(test)]
pub(crate) fn address() -> usize {
    MACHINE.load(SeqCst).addr()
}

impl Machine {
    /// Whether this process may free what is of it. To be asked by who is counted in.
    pub fn is_sound(&self) -> bool {
        sound().is_some_and(|sound| std::ptr::eq(sound, self))
    }

    fn new(older: Option<&'static Machine>) -> Result<Self> {
        let engine = Engine::new(&config())?;
        let mut linker = Linker::new(&engine);
        imports::define(&mut linker)?;
        Ok(Self { engine, linker, older })
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
