//! Forked children: policies work there, deadlines too; and in one of them every system call kills.

mod common;

use common::{host_with, hostile, record};
use std::sync::Arc;
use tidegate_core::policy::Policy;

/// Runs `what` in a forked child; how the child ended.
fn in_a_child(what: impl FnOnce() -> bool) -> libc::c_int {
    // SAFETY: the child runs `what` and leaves without unwinding into the parent's frames.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(if what() { 0 } else { 1 }),
            child => {
                assert!(child > 0, "fork failed");
                let mut status = -1;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                status
            }
        }
    }
}

/// Kills this process at any system call but the one that ends it.
fn allow_no_system_call() -> bool {
    let op = |code: u32, k: u32, jt: u8| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let (load, equal, answer) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    );
    let mut filter = [
        op(load, 0, 0),
        op(equal, libc::SYS_exit_group as u32, 1),
        op(answer, libc::SECCOMP_RET_KILL_PROCESS, 0),
        op(answer, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is well formed and read during the call.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    }
}

fn answered(policy: &Arc<dyn Policy>, key_hash: u64) -> bool {
    policy.decide(&record(key_hash), &[]).0.is_some()
}

#[test]
fn children() {
    let (host, policy) = host_with(&hostile("on_demand"));
    assert!(answered(&policy, 0));

    let exited_well = 0;
    let stopped_loop = in_a_child(|| answered(&policy, 0) && !answered(&policy, 2));
    assert_eq!(stopped_loop, exited_well, "a child has a ticker of its own");

    let loaded = in_a_child(|| host.load("p", &common::denies(3), &Default::default()) == Ok(2));
    assert_eq!(loaded, exited_well, "a child loads by itself");
    assert_eq!(host.generation("p"), Ok(1), "and for itself");

    let grandchild =
        in_a_child(|| answered(&policy, 0) && in_a_child(|| !answered(&policy, 2) && answered(&policy, 0)) == 0);
    assert_eq!(grandchild, exited_well);

    let quiet = in_a_child(|| {
        let first = answered(&policy, 0);
        first && allow_no_system_call() && (0..10_000).all(|_| answered(&policy, 0))
    });
    assert_eq!(quiet, exited_well, "a system call was made after the first call");

    let loud = in_a_child(|| {
        // SAFETY: asks for nothing but a number.
        answered(&policy, 0) && allow_no_system_call() && unsafe { libc::getppid() } > 0
    });
    assert_eq!(loud & 0x7f, libc::SIGSYS, "the filter does catch system calls");
}
