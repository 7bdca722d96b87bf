//! Forked children. Those that are killed half-way are in `killed.rs`.

mod common;

use common::{enter, open, open_with, rules, wait_for};
use tidegate_core::guard::{NotEntered, Outcome, Stage};
use tidegate_core::segment::SegmentOptions;
use tidegate_core::{ErrorKind, Options, Runtime};

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

#[test]
fn a_limit_on_file_sizes_is_an_answer_and_not_a_signal() {
    let small = SegmentOptions { bytes: 2 << 20, ..SegmentOptions::default() };
    let status = in_child(|| {
        let limit = libc::rlimit { rlim_cur: 4 << 20, rlim_max: 4 << 20 };
        // SAFETY: this child's own limit, and what the system does unless a process says otherwise.
        unsafe {
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
        }
        let refused = Runtime::open(&Options::default()).map(drop).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::System);
        assert!(refused.message.contains("RLIMIT_FSIZE"), "{refused}");
        drop(open_with(small));
    });
    assert_eq!(status, 0, "25 is SIGXFSZ");
}
