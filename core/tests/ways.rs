//! The plain ways into and out of a guard, and what is asked last after them, answer as the whole pipeline does: a time limit that
//! is far away and a fault that hits nobody have a guard asked by the whole of it.

mod common;

use common::{MS, SECOND, enter, open, rules};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::{Call, NotEntered, Outcome, Stage};
use tidegate_core::{ErrorKind, Permit, Runtime};

const BREAKERS: [&str; 7] = [
    "",
    r#""error_ratio":0.5,"window":"5s""#,
    r#""error_ratio":0.5,"slow":{"over":"100ms","ratio":0.5},"window":"5s""#,
    r#""error_ratio":0.5,"window_calls":6"#,
    r#""slow":{"over":"100ms","ratio":0.5},"window_calls":6"#,
    r#""consecutive_failures":2,"recover_over":"3s""#,
    r#""error_ratio":0.4,"mode":"shadow""#,
];
const CONCURRENCIES: [&str; 3] = ["", r#""concurrency":{"max":3},"#, r#""concurrency":{"max":2,"mode":"shadow"},"#];
const RATES: [&str; 8] = [
    "",
    r#"{"limit":5,"burst":3}"#,
    r#"{"limit":2,"burst":2,"key":"tenant"}"#,
    r#"{"limit":2,"burst":2,"key":"tenant","overrides":{"a":{"limit":4}},"deny":["b"]}"#,
    r#"{"limit":2,"burst":2,"key":"tenant","mode":"shadow"}"#,
    r#"{"limit":5,"burst":3},{"limit":2,"burst":2,"key":"tenant"}"#,
    r#"{"algorithm":"sliding_window","limit":3}"#,
    r#"{"algorithm":"pacing","limit":10,"max_wait":"200ms"}"#,
];

/// What no call notices.
const FURTHER: &str =
    r#""timeout":"24h","faults":[{"when":{"attribute":"tenant","equals":"nobody"},"abort":"failure"}]"#;

#[derive(Clone, Debug)]
enum Step {
    Enter { key: &'static [u8], cost: u64 },
    Exit { which: usize, outcome: Outcome },
    Advance { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let keys: [&[u8]; 4] = [b"", b"a", b"b", b"c"];
    prop_oneof![
        5 => (select(keys.to_vec()), 0u64..3).prop_map(|(key, cost)| Step::Enter { key, cost }),
        3 => (any::<usize>(), select(Outcome::ALL.to_vec())).prop_map(|(which, outcome)| Step::Exit { which, outcome }),
        2 => select(vec![1u64, 60, 150, 1200]).prop_map(|ms| Step::Advance { ms }),
    ]
}

fn document() -> impl Strategy<Value = String> {
    let parts = (select(BREAKERS.to_vec()), select(CONCURRENCIES.to_vec()), select(RATES.to_vec()));
    parts.prop_map(|(breaker, concurrency, rates)| {
        let breaker = match breaker {
            "" => String::new(),
            _ => format!(r#""breaker":{{{breaker},"min_calls":2,"open_for":"1s","probes":1,"probe_timeout":"2s"}},"#),
        };
        let rates = if rates.is_empty() { String::new() } else { format!(r#""rate":[{rates}],"#) };
        let guard = format!(r#"{breaker}{concurrency}{rates}"x-":0"#);
        format!(r#"{{"version":1,"guards":{{"plain":{{{guard}}},"whole":{{{guard},{FURTHER}}}}}}}"#)
    })
}

/// Makes the same steps with one guard, and tells all that it answered.
fn answers(guard: &'static Guard, runtime: &Runtime, steps: &[Step]) -> Vec<String> {
    let (mut held, mut answers) = (Vec::new(), Vec::new());
    // So that the thread knows the guard, and the time: it does not before, and then asks the whole pipeline.
    let learn = |guard: &'static Guard| enter(guard).map(|mut permit| permit.exit(Outcome::Ignored));
    let other = runtime.guard("other").unwrap();
    learn(guard).unwrap().unwrap();
    for step in steps {
        match *step {
            Step::Enter { key, cost } => {
                let mut permit = Permit::default();
                let entered = guard.enter(&Call { key, cost, ..Call::default() }, &mut permit);
                let times = (permit.retry_after_ns(), permit.wait_ns(), permit.reason());
                answers.push(format!("{step:?}: {entered:?} {times:?}"));
                held.extend(entered.is_ok().then_some(permit));
            }
            Step::Exit { .. } if held.is_empty() => {}
            Step::Exit { which, outcome } => {
                let mut permit = held.swap_remove(which % held.len());
                answers.push(format!("{step:?}: {:?}", permit.exit(outcome)));
            }
            Step::Advance { ms } => {
                runtime.clock().advance(ms * MS).unwrap();
                learn(other).unwrap().unwrap();
            }
        }
    }
    answers.push(format!("{:?}", guard.stats().unwrap()));
    held.iter_mut().for_each(|permit| permit.exit(Outcome::Ignored).unwrap());
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 2000 }))]
    #[test]
    fn the_plain_way_answers_as_the_whole_pipeline(document in document(), steps in prop::collection::vec(step(), 1..80)) {
        let runtimes = [open(), open()];
        let [plain, whole] = [("plain", &runtimes[0]), ("whole", &runtimes[1])].map(|(name, runtime)| {
            rules(runtime, &document);
            runtime.clock().advance(SECOND).unwrap();
            answers(runtime.guard(name).unwrap(), runtime, &steps)
        });
        prop_assert_eq!(plain, whole, "{}", document);
    }
}

/// If it were not gone, the property above would hold the whole pipeline against itself.
#[test]
fn the_plain_way_is_gone_on_a_virtual_clock() {
    let runtime = open();
    rules(
        &runtime,
        r#"{"version":1,"guards":{"g":{"breaker":{"error_ratio":0.5},"concurrency":{"max":9},"rate":[{"limit":9}]}}}"#,
    );
    let guard = runtime.guard("g").unwrap();
    for _ in 0..3 {
        enter(guard).unwrap().exit(Outcome::Success).unwrap();
    }
    let mut permit = Permit::default();
    assert!(guard.enter_plain(&mut permit).is_ok());
    assert!(permit.exit(Outcome::Success).is_ok());
}

/// Whoever is in between when the rules or the breaker are changed gives back all that it took.
#[test]
fn a_storm_through_changes_leaves_nothing_taken() {
    const CALLS: u64 = 20_000;
    let by_key = r#""rate":[{"limit":1000000,"burst":1000000,"key":"tenant"}]"#;
    let plain = r#""rate":[{"limit":1000000,"burst":1000000}]"#;
    let slow = r#""breaker":{"slow":{"over":"1h","ratio":0.9}}"#;
    for stage in [by_key, plain, slow] {
        let runtime = open();
        rules(&runtime, &format!(r#"{{"version":1,"guards":{{"g":{{"concurrency":{{"max":8}},{stage}}}}}}}"#));
        let guard = runtime.guard("g").unwrap();
        let (admitted, left) = (AtomicU64::new(0), AtomicU64::new(4));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..CALLS {
                        let mut permit = Permit::default();
                        match guard.enter(&Call { key: b"a", ..Call::default() }, &mut permit) {
                            Ok(()) => drop((permit.exit(Outcome::Success), admitted.fetch_add(1, Relaxed))),
                            Err(NotEntered::Failed(ErrorKind::Busy)) => {}
                            Err(other) => panic!("{stage}: {other:?}"),
                        }
                    }
                    left.fetch_sub(1, Relaxed);
                });
            }
            while left.load(Relaxed) != 0 {
                guard.reset_breaker().unwrap();
            }
        });
        let stats = guard.stats().unwrap();
        assert_eq!((stats.inflight, stats.calls[0]), (0, admitted.load(Relaxed)), "{stage}");
        let mut all: Vec<_> = (0..8).map(|_| enter(guard).unwrap()).collect();
        assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Concurrency), "{stage}");
        all.iter_mut().for_each(|permit| permit.exit(Outcome::Success).unwrap());
    }
}
