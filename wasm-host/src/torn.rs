//! Forked children whose parent's other threads were in the middle of something. The test's own thread holds what such a
//! thread would hold: a child cannot tell, as whoever held it is not of its process.

use crate::entry::{Entry, pack};
use crate::generation::Generation;
use crate::host::Host;
use crate::options::Options;
use crate::uses::Status;
use crate::{engine, registry};
use std::sync::atomic::Ordering::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate_core::policy::{Action, Policy, RECORD_VERSION, Record};

/// A policy that denies every call, with this reason.
fn denies(reason: u32) -> Vec<u8> {
    let text = format!(
        r#"(module
          (memory (export "memory") 1)
          (global (export "tg_policy_abi") i32 (i32.const 1))
          (func (export "tg_policy_arena") (result i32) (i32.const 8))
          (func (export "tg_policy_init") (param i32 i32) (result i32) (i32.const 0))
          (func (export "tg_policy_decide") (param i32) (result i64) (i64.const {})))"#,
        1 | reason << 16
    );
    wat::parse_str(&text).expect("well formed")
}

/// Whether `what` is true in a forked child.
fn in_a_child(what: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `what` and leaves without unwinding into the parent's frames.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what));
            libc::_exit(i32::from(!done.unwrap_or(false)));
        }
        assert!(child > 0, "fork failed");
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        status == 0
    }
}

/// One test at a time: what else forks meet in the middle of is not theirs.
static ONE: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn loaded_twice() -> (Arc<Host>, Arc<Entry>) {
    let host = Host::new();
    for reason in [1, 2] {
        host.load("p", &denies(reason), &Options::default()).expect("a good module");
    }
    let entry = host.entry("p").expect("loaded");
    assert_eq!(reason(&entry), Some(2));
    (host, entry)
}

fn record() -> Record {
    let size = size_of::<Record>() as u16;
    Record { size, version: RECORD_VERSION, remaining_ns: u64::MAX, ..Record::default() }
}

fn reason(entry: &Entry) -> Option<u16> {
    entry.decide(&record(), &[]).0.map(|verdict| verdict.reason)
}

/// All that the host is asked on cold paths, and more loads than a policy has places.
fn works(host: &Host) -> bool {
    for round in 0..20 {
        let loaded = host.load("p", &denies(round), &Options::default());
        let entry = host.entry("p").expect("loaded");
        assert_eq!((loaded.is_ok(), reason(&entry)), (true, Some(round as u16)), "{loaded:?}");
    }
    let rolled_back = host.rollback("p").is_ok() && host.entry("p").is_ok_and(|entry| reason(&entry) == Some(18));
    let another = host.load("q", &denies(9), &Options::default()) == Ok(1);
    let known = host.attribute_id("tier").is_ok() && host.figures().is_ok_and(|all| all.len() >= 2);
    rolled_back && another && known && host.unload("p").is_ok() && host.unload("q").is_ok()
}

#[test]
fn a_child_takes_over_what_its_parent_held() {
    let _one = one_at_a_time();
    let (host, entry) = loaded_twice();
    let held = (entry.loading.try_lock(), entry.uses.try_lock());
    let tables = (host.policies.held(), registry::held(), engine::held());
    assert!(held.0.is_some() && held.1.is_some());
    assert!(tables.0.is_some() && tables.1.is_some() && tables.2.is_some());
    assert!(in_a_child(|| works(&host)));
    drop((held, tables));
    assert_eq!(host.rollback("p"), Ok(1), "and the parent goes on");
}

impl Entry {
    fn set_status(&self, at: usize, status: Status) {
        self.cold().expect("free").set(at, status);
    }
}

/// The steps of a swap, of which a fork sees some.
const STEPS: [fn(&Entry); 5] = [
    |entry| entry.places[3].open.store(3, SeqCst),
    |entry| entry.set_status(0, Status::Retired),
    |entry| entry.set_status(1, Status::Kept),
    |entry| entry.current.store(pack(3, 3), SeqCst),
    |entry| entry.set_status(3, Status::Serving),
];

/// A generation 3 in place 3, not yet serving.
fn furnish_a_third(host: &Host, entry: &Entry) {
    let third = Generation::build(&denies(3), &Options::default(), &host.attributes).expect("a good module");
    let mut cold = entry.cold().expect("free");
    // SAFETY: a free place, and we hold the lock.
    unsafe { entry.places[3].furnish(Some(Arc::new(third))) };
    assert_eq!((cold.status(0), cold.status(1)), (Status::Kept, Status::Serving));
    assert_eq!(cold.prepare(3), 3);
}

#[test]
fn a_swap_may_be_cut_off_anywhere() {
    let _one = one_at_a_time();
    for steps in 0..=STEPS.len() {
        let (host, entry) = loaded_twice();
        furnish_a_third(&host, &entry);
        STEPS[..steps].iter().for_each(|step| step(&entry));
        let held = (entry.loading.try_lock(), entry.uses.try_lock());
        let (serves, back) = if steps < 4 { (2, (steps == 0 || steps == 1).then_some(1)) } else { (3, Some(2)) };
        let right = in_a_child(|| {
            assert_eq!(reason(&entry), Some(serves));
            assert_eq!((host.rollback("p").ok(), steps), (back, steps));
            works(&host)
        });
        assert!(right, "after {steps} steps");
        drop(held);
    }
}

#[test]
fn a_rollback_may_be_cut_off() {
    let _one = one_at_a_time();
    let (host, entry) = loaded_twice();
    entry.set_status(0, Status::Preparing);
    let held = entry.loading.try_lock();
    assert!(in_a_child(|| host.rollback("p") == Ok(1) && reason(&entry) == Some(1) && works(&host)));
    drop(held);
}

#[test]
fn an_unload_may_be_cut_off() {
    let _one = one_at_a_time();
    let (host, entry) = loaded_twice();
    let held = (entry.loading.try_lock(), entry.uses.try_lock());
    entry.current.store(0, SeqCst);
    assert!(in_a_child(|| reason(&entry).is_none() && works(&host)));
    drop(held);
}

/// A place shut half-way: some calls in flight forgotten, others not.
#[test]
fn a_place_shut_half_way_is_freed() {
    let _one = one_at_a_time();
    let (host, entry) = loaded_twice();
    let place = &entry.places[0];
    place.seat(7).count(Action::Allow, true);
    entry.set_status(0, Status::Retired);
    place.open.store(0, SeqCst);
    host.collect();
    assert_eq!(entry.cold().map(|cold| cold.status(0)), Ok(Status::Free));
}

/// A load that could not go on, having a place furnished.
#[test]
fn a_place_of_a_failed_load_is_used_again() {
    let _one = one_at_a_time();
    let (host, entry) = loaded_twice();
    furnish_a_third(&host, &entry);
    assert!(works(&host));
}

/// A guest that loops for ever when the key's hash is 2.
fn loops_on_demand() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/hostile/on_demand.wat");
    wat::parse_file(path).expect("well formed")
}

#[test]
fn a_child_uses_its_parents_engine_unless_a_thread_was_in_it() {
    let _one = one_at_a_time();
    let (host, entry) = loaded_twice();
    host.load("loops", &loops_on_demand(), &Options::default()).expect("a good module");
    let loops = host.entry("loops").expect("loaded");
    let parents = engine::address();
    let same = in_a_child(|| works(&host) && engine::address() == parents);
    assert!(same, "nobody was in it");

    let in_it = (engine::User::new(), engine::held());
    let another = in_a_child(|| {
        assert_eq!(reason(&entry), Some(2));
        let own = works(&host) && engine::address() != parents;
        let stopped = loops.decide(&Record { key_hash: 2, ..record() }, &[]).0.is_none();
        let grandchild = in_a_child(|| works(&host) && engine::address() != parents);
        own && stopped && grandchild && loops.decide(&record(), &[]).0.is_some()
    });
    assert!(another, "with ticks for the parent's guests");
    drop(in_it);
}

/// So that the tests above are of what they mean to be.
#[test]
fn a_lock_is_not_taken_over_within_its_own_process() {
    let _one = one_at_a_time();
    let (_host, entry) = loaded_twice();
    let held = entry.uses.try_lock();
    assert!(held.is_some() && entry.uses.try_lock().is_none());
}
