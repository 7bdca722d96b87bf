//! Guards with one stage each, and one with all that can be on at once, by the rules in `bench/rules.json`.

use std::hint::black_box;

use tidegate_core::guard::handle::Guard;
use tidegate_core::policy::Attribute;
use tidegate_core::system::gate::Load;
use tidegate_core::{Call, Criticality, Outcome, Permit, Runtime};

use crate::Failure;
use crate::keyed::Keys;
use crate::measure::Case;

/// Works whose calls say nothing of themselves, each with a guard of its name.
const PLAIN: [&str; 8] =
    ["concurrency", "aimd", "vegas", "gradient2", "breaker_slow", "breaker_count", "throttle", "follow"];
/// Keys of the works `keyed` and `guard_everything`.
pub const KEYS: u64 = 1000;

/// All of them.
pub fn cases(runtime: &'static Runtime) -> Result<Vec<Case>, Failure> {
    let attributes: &'static [_] =
        Box::leak(Box::new([Attribute { id: runtime.attribute("tenant")?, value: b"acme" }]));
    let of = |work: &'static str| runtime.guard(&format!("bench.{work}"));
    let mut cases = Vec::new();
    for work in PLAIN {
        cases.push(guarded(work, of(work)?, Call::default()));
    }
    cases.push(guarded("shed", of("shed")?, Call { criticality: Criticality::Sheddable, ..Call::default() }));
    cases.push(guarded("deadline", of("deadline")?, Call { timeout_ns: 1_000_000_000, ..Call::default() }));
    cases.push(guarded("fault", of("fault")?, Call { attributes, ..Call::default() }));
    cases.push(by_key("keyed", of("keyed")?, Call::default()));
    cases.push(loaded(runtime, guarded("system", of("system")?, Call::default())));
    let all = Call { attributes, criticality: Criticality::Sheddable, ..Call::default() };
    cases.push(loaded(runtime, by_key("guard_everything", of("everything")?, all)));
    Ok(cases)
}

/// Enters and exits; a refusal would be an error of the benchmark, and ends it.
pub fn guarded(work: &'static str, guard: &'static Guard, call: Call<'static>) -> Case {
    Case::new(work, "tidegate-rust", move |_| move || pass(work, guard, black_box(&call)))
}

/// The same with a key that changes from call to call.
fn by_key(work: &'static str, guard: &'static Guard, call: Call<'static>) -> Case {
    Case::new(work, "tidegate-rust", move |thread| {
        let mut keys = Keys::new(KEYS, thread);
        move || {
            let key = keys.next();
            pass(work, guard, black_box(&Call { key: &key, ..call }));
        }
    })
}

/// Enters and exits.
#[inline(always)]
pub fn pass(work: &str, guard: &'static Guard, call: &Call<'_>) {
    let mut permit = Permit::default();
    if let Err(why) = guard.enter(call, &mut permit) {
        panic!("the guard of {work} did not let a call pass: {why:?}");
    }
    black_box(permit.exit(Outcome::Success)).ok();
}

/// Tells the guards that the container is half idle, before each measurement: what was told is forgotten after 10 s.
fn loaded(runtime: &'static Runtime, case: Case) -> Case {
    case.after(move || {
        runtime.set_load(Load { cpu: 500, memory: 500 }).ok();
    })
}
