//! The host leaves the program's signals alone: its handlers, its alternate stack, its mask.

mod common;

use common::{figures_when, host_with, hostile, patient_host_with, record};
use std::mem::zeroed;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use tidegate_core::policy::Policy;

const FATAL: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// Everything that a thread's signal handling hangs on, as the system tells it.
#[derive(Debug, PartialEq, Eq)]
struct Signals {
    handlers: [[u64; 4]; 4],
    stack: (usize, usize, i32),
    mask: Vec<bool>,
}

fn signals() -> Signals {
    // SAFETY: the system fills what it is given.
    unsafe {
        let mut stack: libc::stack_t = zeroed();
        assert_eq!(libc::sigaltstack(null(), &mut stack), 0);
        let mut mask: libc::sigset_t = zeroed();
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, null(), &mut mask), 0);
        Signals {
            handlers: FATAL.map(handler),
            stack: (stack.ss_sp as usize, stack.ss_size, stack.ss_flags),
            mask: (1..32).map(|signal| libc::sigismember(&mask, signal) == 1).collect(),
        }
    }
}

/// What the kernel keeps for a signal: handler, flags, restorer, mask. (The C library's call leaves
/// a part of its larger structure as it finds it.)
fn handler(signal: libc::c_int) -> [u64; 4] {
    let mut action = [0u64; 4];
    let mask_bytes = 8;
    // SAFETY: the system fills what it is given, which is as large as it writes.
    let failed = unsafe {
        let nothing = null::<u64>();
        libc::syscall(libc::SYS_rt_sigaction, signal, nothing, action.as_mut_ptr(), mask_bytes)
    };
    assert_eq!(failed, 0);
    action
}

/// Calls that are answered, trap, recurse without end, run past the deadline.
fn exercise(policy: &dyn Policy) {
    for what in [0, 1, 4, 2, 3, 0] {
        assert_eq!(policy.decide(&record(what), &[]).0.is_some(), what == 0);
    }
}

/// Runs `what` on a new thread that has an alternate stack of so many bytes; 0: none.
fn on_a_thread_with(bytes: usize, what: impl FnOnce() + Send) {
    let mut memory = vec![0u8; bytes.max(1)];
    let run = || {
        let flags = if bytes == 0 { libc::SS_DISABLE } else { 0 };
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: flags, ss_size: bytes };
        let off = libc::stack_t { ss_sp: null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        let mut rusts = off;
        // SAFETY: the memory outlives the thread; its own stack is put back before it ends.
        unsafe {
            assert_eq!(libc::sigaltstack(&stack, &mut rusts), 0);
            what();
            rusts.ss_flags &= libc::SS_DISABLE;
            assert_eq!(libc::sigaltstack(&rusts, null_mut()), 0);
        }
    };
    std::thread::scope(|scope| scope.spawn(run).join().expect("no panic"));
}

#[test]
fn nothing_changes_whatever_the_guest_does() {
    let before_anything = FATAL.map(handler);
    let (_host, policy) = patient_host_with(&hostile("on_demand"));
    for bytes in [0, 32 << 10, 64 << 10, 1 << 20] {
        on_a_thread_with(bytes, || {
            let before = signals();
            exercise(&*policy);
            assert_eq!(signals(), before, "an alternate stack of {bytes} bytes");
        });
    }
    assert_eq!(FATAL.map(handler), before_anything);
}

#[test]
fn nor_on_the_thread_that_loads() {
    on_a_thread_with(32 << 10, || {
        let before = signals();
        let (host, _policy) = host_with(&hostile("well_behaved"));
        for name in ["trap_in_init", "loop_in_start", "no_decide"] {
            assert!(host.check(&hostile(name), &Default::default()).is_err());
        }
        assert_eq!(signals(), before);
    });
}

/// A stack of ours that a dying thread takes down would show here as a crash.
#[test]
fn threads_may_die_as_they_like() {
    let (host, policy) = patient_host_with(&hostile("on_demand"));
    for _ in 0..50 {
        let batch: Vec<_> = (0..4).map(|_| Arc::clone(&policy)).collect();
        let threads: Vec<_> = batch.into_iter().map(|p| std::thread::spawn(move || exercise(&*p))).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
    figures_when(&host, |figures| figures.instances == 0);
}
