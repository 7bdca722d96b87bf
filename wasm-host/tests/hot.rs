//! A decision allocates nothing and makes no system call, after a thread's first.

mod common;

use common::{denies_and_observes, host_with, record};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use tidegate_core::policy::{Attribute, Policy};

/// Counts what the calling thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn calls(policy: &dyn Policy, count: usize) {
    let attributes = [Attribute { id: 1, value: b"free" }];
    for n in 0..count {
        let (verdict, generation) = policy.decide(&record(n as u64), &attributes);
        assert!(verdict.is_some());
        policy.observe(generation, &record(n as u64), 0, 5);
    }
}

#[test]
fn no_allocation() {
    let (_host, policy) = host_with(&denies_and_observes(1));
    calls(&*policy, 1);
    let before = ASKED.get();
    calls(&*policy, 10_000);
    assert_eq!(ASKED.get(), before);
}

#[test]
fn no_allocation_in_the_first_call_of_a_prepared_thread() {
    let (host, policy) = host_with(&denies_and_observes(1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(host.prepare_thread());
            let before = ASKED.get();
            calls(&*policy, 1);
            assert_eq!(ASKED.get(), before);
        });
    });
}

/// After a swap too: the loading thread has made this thread's next instance.
#[test]
fn no_allocation_after_a_swap() {
    let (host, policy) = host_with(&denies_and_observes(1));
    calls(&*policy, 1);
    host.load("p", &denies_and_observes(2), &Default::default()).expect("loads");
    let before = ASKED.get();
    calls(&*policy, 100);
    assert_eq!(ASKED.get(), before);
    host.rollback("p").expect("there is an earlier one");
    let before = ASKED.get();
    calls(&*policy, 100);
    assert_eq!(ASKED.get(), before);
}
