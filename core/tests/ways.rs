//! The plain way through a guard, and what is asked last after it, answer as the whole pipeline does: a time limit that is far away has
//! a guard asked by the whole of it.

mod common;

use common::{MS, SECOND, enter, open, rules};
use proptest::prelude::*;
use proptest::sample::select;
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::{Call, Outcome};
use tidegate_core::{Permit, Runtime};

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
        format!(r#"{{"version":1,"guards":{{"plain":{{{guard}}},"whole":{{{guard},"timeout":"24h"}}}}}}"#)
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
