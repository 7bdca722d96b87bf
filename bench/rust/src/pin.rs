//! Threads bound to cores, so that two of them never take turns on one.

use std::mem;
use std::sync::OnceLock;

/// Binds the calling thread to one of the cores that the process may use, counted from the last: the
/// first core is the one that most interrupts go to. Where the system refuses, the thread stays free.
pub fn to_core(index: usize) {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    let cores = CORES.get_or_init(allowed);
    if let Some(core) = cores.iter().rev().cycle().nth(index) {
        bind(*core);
    }
}

fn allowed() -> Vec<usize> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is ours and its size is given.
    unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    // SAFETY: every index is below CPU_SETSIZE.
    let holds = |core: &usize| unsafe { libc::CPU_ISSET(*core, &set) };
    (0..libc::CPU_SETSIZE as usize).filter(holds).collect()
}

fn bind(core: usize) {
    // SAFETY: an all-zero cpu_set_t is the empty set; `core` came from a set of the same size.
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}
