//! The ticker parks when nothing runs, and the next call wakes it in time for its deadline.

mod common;

use common::{host_with, hostile, record};
use std::fs;

/// The system call that the ticker thread is in, as the kernel tells it; `None` when it is running, or has
/// just been started and not yet named.
fn ticker_is_in() -> Option<i64> {
    let tasks = fs::read_dir("/proc/self/task").expect("a list").map(|task| task.expect("a task").path());
    let is_ticker = |task: &std::path::PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("tidegate-ticker"))
    };
    let tickers: Vec<_> = tasks.filter(is_ticker).collect();
    assert!(tickers.len() <= 1, "one ticker a process");
    let call = fs::read_to_string(tickers.first()?.join("syscall")).expect("readable");
    call.split(' ').next().and_then(|number| number.trim().parse().ok())
}

fn parks() {
    while ticker_is_in() != Some(libc::SYS_futex) {
        std::thread::yield_now();
    }
}

#[test]
fn parked_and_woken() {
    let (_host, policy) = host_with(&hostile("on_demand"));
    for _ in 0..2 {
        parks();
        assert_eq!(policy.decide(&record(2), &[]).0, None, "an endless loop ends, so somebody ticks");
        assert!(policy.decide(&record(0), &[]).0.is_some());
    }
    parks();
}
