//! Forked children, and children that die half-way.

mod common;

use common::{SECOND, enter, open, rules};
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::{NotEntered, Outcome, Stage};
use tidegate_core::{ErrorKind, Permit, Runtime};

const RULES: &str = r#"{"version":1,"guards":{"g":{
    "rate":[{"limit":1000000,"burst":1000000}],"concurrency":{"max":8},"breaker":{"error_ratio":0.5}}}}"#;

/// Runs `body` in a forked child and returns its exit status: 0 when it returned, 101 when it panicked.
fn in_child(body: impl FnOnce()) -> i32 {
    // SAFETY: the child runs only `body` and leaves by _exit.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            libc::_exit(if ended.is_ok() { 0 } else { 101 });
        }
        wait_for(pid)
    }
}

fn wait_for(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: our own child.
    unsafe { assert_eq!(libc::waitpid(pid, &mut status, 0), pid) };
    status
}

#[test]
fn a_forked_child_shares_everything_but_permits() {
    let runtime = open();
    rules(&runtime, RULES);
    let guard = runtime.guard("g").unwrap();
    let mut mine = enter(guard).unwrap();
    let status = in_child(|| {
        assert_eq!(mine.exit(Outcome::Success), Err(ErrorKind::Foreign));
        let mut held: Vec<_> = (0..7).map(|_| enter(guard).unwrap()).collect();
        assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Concurrency));
        held.iter_mut().for_each(|permit| permit.exit(Outcome::Success).unwrap());
        let again = runtime.guard("made-by-the-child").unwrap();
        enter(again).unwrap().exit(Outcome::Failure).unwrap();
        rules(&runtime, r#"{"version":2,"guards":{"g":{"concurrency":{"max":1}}}}"#);
    });
    assert_eq!(status, 0);
    assert_eq!(runtime.rules_version(), 2);
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Concurrency));
    mine.exit(Outcome::Success).unwrap();
    assert_eq!(guard.stats().unwrap().calls[0], 8);
    assert_eq!(runtime.guard("made-by-the-child").unwrap().stats().unwrap().calls[1], 1);
    assert_eq!(guard.stats().unwrap().misused_exits, 1);
}

#[test]
fn what_a_dead_child_held_is_taken_back() {
    let runtime = open();
    rules(&runtime, RULES);
    let guard = runtime.guard("g").unwrap();
    let mut mine = enter(guard).unwrap();
    let status = in_child(|| {
        (0..5).for_each(|_| assert!(enter(guard).is_ok()));
    });
    assert_eq!(status, 0);
    assert_eq!(guard.stats().unwrap().inflight, 6);
    assert_eq!(runtime.reap().unwrap(), 1);
    assert_eq!(guard.stats().unwrap().inflight, 1);
    assert_eq!(runtime.reap().unwrap(), 0);
    mine.exit(Outcome::Success).unwrap();
    assert_eq!(guard.stats().unwrap().inflight, 0);
}

#[test]
fn children_that_come_and_go_use_the_same_slots() {
    let runtime = open();
    let guard = runtime.guard("g").unwrap();
    for _ in 0..300 {
        assert_eq!(in_child(|| assert!(enter(guard).is_ok())), 0);
    }
    runtime.reap().unwrap();
    assert_eq!(guard.stats().unwrap().inflight, 0);
    let header = runtime.segment().header();
    let used = header.threads_used.load(std::sync::atomic::Ordering::Relaxed);
    assert!(used <= 4, "{used} thread slots for one process and one child at a time");
}

/// What the traced child does between its two stops: one call in, one call out.
fn one_call(guard: &'static Guard) {
    let mut permit = Permit::default();
    let entered = guard.enter(&tidegate_core::Call::default(), &mut permit);
    assert!(entered.is_ok());
    permit.exit(Outcome::Failure).unwrap();
}

/// Forks a child that stops itself before `one_call`, lets it run `steps` instructions, and kills it. False when it had
/// finished before.
fn kill_after(runtime: &Runtime, guard: &'static Guard, steps: u64) -> bool {
    // SAFETY: a plain ptrace session with a child of ours.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            // The child's first calls take its slots, so that what is traced is the hot path.
            one_call(guard);
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            one_call(guard);
            libc::raise(libc::SIGUSR1);
            libc::_exit(0);
        }
        assert!(libc::WIFSTOPPED(wait_for(pid)));
        let mut finished = false;
        for _ in 0..steps {
            libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, 0);
            let status = wait_for(pid);
            if libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGUSR1 {
                finished = true;
                break;
            }
            assert!(libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP, "{status:x}");
        }
        libc::kill(pid, libc::SIGKILL);
        wait_for(pid);
        assert_eq!(runtime.reap().unwrap(), 1);
        !finished
    }
}

#[test]
fn a_child_killed_at_any_instruction_leaves_the_sums_right() {
    let runtime = open();
    // Failures that never open it: the window is summed at each of them.
    rules(&runtime, &RULES.replace("0.5", "1.0"));
    let guard = runtime.guard("g").unwrap();
    let mut mine = enter(guard).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    // An optimised build has about a thousand instructions here; a debug build is sampled more coarsely.
    let stride = if cfg!(debug_assertions) { 997 } else { 1 };
    let (mut steps, mut before) = (0, guard.stats().unwrap());
    while kill_after(&runtime, guard, steps) {
        let stats = guard.stats().unwrap();
        assert_eq!(stats.inflight, 1, "after {steps} instructions only our own permit is in flight");
        let counted = stats.calls[1] - before.calls[1];
        let timed = stats.latency.count() - before.latency.count();
        assert!((1..=2).contains(&counted) && (1..=2).contains(&timed), "the call before counts, the killed one may");
        before = stats;
        steps += stride;
    }
    assert!(steps > 200, "{steps} instructions cannot have been all");
    mine.exit(Outcome::Success).unwrap();
    let mut all: Vec<_> = (0..8).map(|_| enter(guard).unwrap()).collect();
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Concurrency), "the limit is what it was");
    runtime.clock().advance(SECOND).unwrap();
    all.iter_mut().for_each(|permit| permit.exit(Outcome::Success).unwrap());
}
