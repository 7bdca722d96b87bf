//! A runtime that has done a bit of everything, on the virtual clock.

use tidegate_core::breaker::counts::Rule;
use tidegate_core::clock::ClockSource;
use tidegate_core::limiter::{self, Algorithm};
use tidegate_core::metrics::instrument::Description;
use tidegate_core::metrics::snapshot::Snapshot;
use tidegate_core::segment::SegmentOptions;
use tidegate_core::system::gate::Load;
use tidegate_core::{Call, NotEntered, Options, Outcome, Permit, Runtime, Stage};
use tidegate_telemetry::PolicyFigures;

const RULES: &str = r#"{"version":7,"guards":{
    "payments.charge":{"concurrency":{"max":2},"rate":[{"limit":10,"burst":8},{"limit":1,"burst":1,"mode":"shadow"}]},
    "again":{"retry":{},"faults":[{"delay":"1ms","share":1}]},
    "by.tenant":{"rate":[{"limit":1,"key":"tenant"}]},
    "payments.refund":{"breaker":{"consecutive_failures":1,"open_for":"5s"}},
    "odd \"name\" \\":{"breaker":{"consecutive_failures":3}}}}"#;

const MINUTE: u64 = 60_000_000_000;

/// Label values and help texts that have to be escaped.
pub const AWKWARD: &str = "quote \" slash \\ line\nend, brace } # EOF = ünï 🌊\r\t\\n";

pub fn snapshot() -> Snapshot {
    let segment = SegmentOptions { max_guards: 10, ..SegmentOptions::default() };
    let runtime =
        Runtime::open(&Options { segment, clock: ClockSource::Virtual(12_345_678_901), faults: true }).unwrap();
    runtime.apply_rules(RULES.as_bytes()).unwrap();
    runtime.set_load(Load { cpu: 250, memory: 500 }).unwrap();
    use_guards(&runtime);
    use_instruments(&runtime);
    use_what_stands_alone(&runtime);
    runtime.snapshot().unwrap()
}

fn use_guards(runtime: &Runtime) {
    for outcome in Outcome::ALL {
        call(runtime, "payments.charge", outcome).unwrap();
        runtime.clock().advance(3_000_000).unwrap();
    }
    call(runtime, "payments.refund", Outcome::Failure).unwrap();
    assert_eq!(call(runtime, "payments.refund", Outcome::Success), Err(NotEntered::Refused(Stage::Breaker)));
    call(runtime, "odd \"name\" \\", Outcome::Success).unwrap();
    call(runtime, "no.rules", Outcome::Ignored).unwrap();
    call(runtime, "by.tenant", Outcome::Success).unwrap();
    call(runtime, "again", Outcome::Success).unwrap();
}

fn call(runtime: &Runtime, guard: &str, outcome: Outcome) -> Result<(), NotEntered> {
    let mut permit = Permit::default();
    runtime.guard(guard).unwrap().enter(&Call::default(), &mut permit)?;
    runtime.clock().advance(20_000_000).unwrap();
    permit.exit(outcome).unwrap();
    Ok(())
}

fn use_what_stands_alone(runtime: &Runtime) {
    let bucket = limiter::Options::token_bucket(10.0, 5);
    let jobs = runtime.limiter("jobs", Some(&bucket)).unwrap();
    jobs.take(5, 0).unwrap();
    jobs.reserve(2, 0, u64::MAX).unwrap();
    jobs.take(1, 0).unwrap_err();
    let paced =
        limiter::Options { algorithm: Algorithm::FixedWindow, limit: 60.0, per_ns: MINUTE, ..Default::default() };
    runtime.limiter("odd \"limit\"", Some(&paced)).unwrap().take(20, 0).unwrap();
    let breaker = runtime.breaker("db", Rule::new(1, 0, 0, MINUTE)).unwrap();
    breaker.trip(breaker.counts().unwrap().0.generation).unwrap();
}

fn use_instruments(runtime: &Runtime) {
    let labels: &[(&str, &str)] = &[("method", "GET"), ("path", "/a")];
    let described = |name, help, unit| Description { name, help, unit, labels };
    let requests = described("http_requests", "Requests answered.", "");
    runtime.counter(&requests).unwrap().add(3).unwrap();
    runtime.counter(&Description { labels: &[("path", AWKWARD)], ..requests }).unwrap().add(u64::MAX).unwrap();
    runtime.counter(&described("sent", "Bytes sent.", "bytes")).unwrap().add(4096).unwrap();
    runtime.counter(&described("lines_total", AWKWARD, "")).unwrap();
    runtime.gauge(&described("temperature", "Room.", "celsius")).unwrap().set(-3.25).unwrap();
    let gauges =
        [("nan", f64::NAN), ("inf", f64::INFINITY), ("neg", f64::NEG_INFINITY), ("big", 1e300), ("small", 1e-300)];
    for (case, value) in gauges {
        let what = Description { name: "edge", help: "Edges.", unit: "", labels: &[("case", case)] };
        runtime.gauge(&what).unwrap().set(value).unwrap();
    }
    let wait = runtime.histogram(&described("wait", "Time in the queue.", "seconds")).unwrap();
    [0.0, 1e-12, 1e-6, 0.004, 0.5, 0.5001, 300.0].iter().for_each(|value| wait.record(*value).unwrap());
    let size = Description { name: "body_size", help: "Size of bodies.", unit: "bytes", labels: &[] };
    let size = runtime.histogram(&size).unwrap();
    [0.0, 17.0, 1e6, 1e15].iter().for_each(|value| size.record(*value).unwrap());
    // Clashes with the counter above.
    runtime.counter(&described("http_requests_total", "Requests answered.", "")).unwrap().add(1).unwrap();
}

pub fn policies() -> Vec<PolicyFigures> {
    let tiers = PolicyFigures {
        name: "tenant-tiers".into(),
        generation: 3,
        calls: vec![("allow", 90), ("deny", 10)],
        failures: vec![("trap", 1), ("deadline", 0)],
        swaps: 3,
        rollbacks: 1,
        quarantined: 1,
        counters: vec![("shed".into(), 9), (AWKWARD.into(), 1), ("shed".into(), 5)],
    };
    let again = PolicyFigures { generation: 9, ..tiers.clone() };
    vec![tiers, PolicyFigures { name: AWKWARD.into(), ..PolicyFigures::default() }, again]
}
