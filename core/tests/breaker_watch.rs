//! Watchers that use the library amid the call whose change they hear of.

mod common;

use common::{MS, SECOND, enter, open, rules};
use std::sync::Arc;
use tidegate_core::breaker::state::{Change, State};
use tidegate_core::guard::Outcome;
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::watch::Watcher;

/// Calls so many guards that the thread forgets the one whose call is on its way.
struct Wanders(Vec<&'static Guard>);

impl Watcher for Wanders {
    fn changed(&self, _: &'static Guard, _: Change) {
        for other in &self.0 {
            enter(other).unwrap().exit(Outcome::Success).unwrap();
        }
    }
}

#[test]
fn a_watcher_may_call_more_guards_than_a_thread_remembers() {
    let runtime = open();
    let doc = r#"{"version":1,"guards":{"g":{"breaker":{"consecutive_failures":1,"open_for":"1s"},"concurrency":{"max":1}}}}"#;
    rules(&runtime, doc);
    let guard = runtime.guard("g").unwrap();
    let others: Vec<_> = (0..100).map(|other| runtime.guard(&format!("other{other}")).unwrap()).collect();
    let watch = guard.watch(Arc::new(Wanders(others.clone()))).unwrap();
    enter(guard).unwrap().exit(Outcome::Failure).unwrap();
    runtime.clock().advance(SECOND + MS).unwrap();
    let mut probe = enter(guard).unwrap();
    assert!(enter(guard).is_err(), "one at a time");
    probe.exit(Outcome::Success).unwrap();
    guard.unwatch(watch).unwrap();
    let stats = guard.stats().unwrap();
    assert_eq!((stats.breaker, stats.inflight, stats.misused_exits), (Some(State::Closed), 0, 0));
    assert_eq!((stats.calls[0], stats.calls[1], stats.latency.count()), (1, 1, 2));
    for other in others {
        let stats = other.stats().unwrap();
        assert_eq!((stats.calls[0], stats.latency.count(), stats.inflight), (3, 3, 0), "open, half-open, closed");
    }
}
