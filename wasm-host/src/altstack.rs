//! Keeps the host's alternate signal stack as it is.
//!
//! The engine, at its first call on a thread, replaces an alternate signal stack of less than 256
//! KiB (Go's have 32) and switches it off when the thread ends, although nothing of ours needs it:
//! traps are raised without signals. It leaves a large one alone. So, once a thread and before its first call:
//! block signals, show the engine a large one, let it look, put the host's back.

use std::ptr::null_mut;
use wasmtime::Engine;

/// More than the 256 KiB that the engine looks for.
const TEMPORARY_BYTES: usize = 512 << 10;

/// Lets the engine initialise this thread behind the host's back. False when the system refused
/// something; then nothing was changed and no guest may run on this thread.
pub(crate) fn initialise_thread() -> bool {
    with_signals_blocked(|| {
        let Some(memory) = Memory::map() else {
            return false;
        };
        let Some(hosts) = replace(&memory.as_stack()) else {
            return false;
        };
        Engine::tls_eager_initialize();
        let back = replace(&hosts).is_some();
        if !back {
            // Still in force: it must stay mapped.
            std::mem::forget(memory);
        }
        back
    })
}

/// Runs `what` with every signal blocked in this thread, and puts the mask back.
pub(crate) fn with_signals_blocked<T>(what: impl FnOnce() -> T) -> T {
    // SAFETY: both sets are ours; the mask of this thread is put back below.
    let mask = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut mask);
        mask
    };
    let result = what();
    // SAFETY: `mask` is what was in force.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &mask, null_mut()) };
    result
}

/// Puts `stack` in force and gives the one that was.
fn replace(stack: &libc::stack_t) -> Option<libc::stack_t> {
    // SAFETY: an all-zero `stack_t` is valid; the system writes the whole of it.
    let mut old: libc::stack_t = unsafe { std::mem::zeroed() };
    let mut wanted = *stack;
    if wanted.ss_flags & libc::SS_DISABLE != 0 {
        // The system wants no other flag beside this one.
        wanted.ss_flags = libc::SS_DISABLE;
    }
    // SAFETY: `wanted` is the host's own, or a mapping that outlives its being in force.
    let failed = unsafe { libc::sigaltstack(&wanted, &mut old) } != 0;
    (!failed).then_some(old)
}

struct Memory(*mut libc::c_void);

impl Memory {
    fn map() -> Option<Self> {
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping, checked for failure.
        let at = unsafe { libc::mmap(null_mut(), TEMPORARY_BYTES, rw, flags, -1, 0) };
        (at != libc::MAP_FAILED).then_some(Self(at))
    }

    fn as_stack(&self) -> libc::stack_t {
        libc::stack_t { ss_sp: self.0, ss_flags: 0, ss_size: TEMPORARY_BYTES }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: ours, and no longer in force.
        unsafe { libc::munmap(self.0, TEMPORARY_BYTES) };
    }
}
