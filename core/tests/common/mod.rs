//! What the tests of the runtime share.
#![allow(dead_code)]

use tidegate_core::clock::ClockSource;
use tidegate_core::guard::handle::Guard;
use tidegate_core::segment::SegmentOptions;
use tidegate_core::{Call, NotEntered, Options, Permit, Runtime};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000_000_000;

/// A private runtime on a virtual clock that starts at an odd moment.
pub fn open() -> Runtime {
    open_with(SegmentOptions::default())
}

pub fn open_with(segment: SegmentOptions) -> Runtime {
    Runtime::open(&Options { segment, clock: ClockSource::Virtual(12_345_678_901), faults: true }).unwrap()
}

pub fn rules(runtime: &Runtime, json: &str) {
    runtime.apply_rules(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"));
}

pub fn enter(guard: &'static Guard) -> Result<Permit, NotEntered> {
    let mut permit = Permit::default();
    guard.enter(&Call::default(), &mut permit).map(|()| permit)
}

/// Waits for a child of ours to stop or end, and returns its status.
pub fn wait_for(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: our own child.
    unsafe { assert_eq!(libc::waitpid(pid, &mut status, 0), pid) };
    status
}
