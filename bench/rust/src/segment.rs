//! What guards and series take of the segment, measured: a thousand of each are made, then used by one thread.

use serde_json::{Value, json};
use tidegate_core::metrics::instrument::Description;
use tidegate_core::{Call, Options, Outcome, Permit, Runtime};

use crate::Failure;
use crate::values::latencies;

const COUNT: u64 = 1000;

/// Rules that give every guard all native stages.
const RULES: &str = r#"{"schema": 1, "version": 1, "guards": {}, "defaults": {
    "breaker": {"error_ratio": 0.5, "consecutive_failures": 10},
    "concurrency": {"max": 100}, "rate": [{"limit": 1000000}]}}"#;

/// Bytes a guard and a series of each kind, and what each thread that uses one adds.
pub fn segment_bytes() -> Result<Value, Failure> {
    let runtime = Runtime::open(&Options::default())?;
    runtime.apply_rules(RULES.as_bytes())?;
    runtime.prepare_thread()?;
    let guard = Bytes::measure(&runtime, &|i| use_guard(&runtime, i))?;
    let counter = Bytes::measure(&runtime, &|i| use_counter(&runtime, i))?;
    let gauge = Bytes::measure(&runtime, &|i| use_gauge(&runtime, i))?;
    let histogram = Bytes::measure(&runtime, &|i| use_histogram(&runtime, i))?;
    Ok(json!({
        "guard": guard.json(), "counter": counter.json(),
        "gauge": gauge.json(), "histogram": histogram.json(),
    }))
}

struct Bytes {
    made: u64,
    each_thread: u64,
}

/// Makes or finds the thing of this number, and answers with how to use it once.
type Make<'a> = &'a dyn Fn(u64) -> Result<Box<dyn Fn() -> Result<(), Failure>>, Failure>;

impl Bytes {
    fn measure(runtime: &Runtime, make: Make<'_>) -> Result<Self, Failure> {
        let used = || runtime.segment_usage().used_bytes;
        let before = used();
        let all = (0..COUNT).map(make).collect::<Result<Vec<_>, _>>()?;
        let made = used();
        all.iter().try_for_each(|use_once| use_once())?;
        Ok(Self { made: (made - before) / COUNT, each_thread: (used() - made) / COUNT })
    }

    fn json(&self) -> Value {
        json!({"bytes": self.made, "bytes_each_thread": self.each_thread})
    }
}

type Use = Result<Box<dyn Fn() -> Result<(), Failure>>, Failure>;

fn use_guard(runtime: &Runtime, number: u64) -> Use {
    let guard = runtime.guard(&format!("guard-{number}"))?;
    Ok(Box::new(move || {
        let mut permit = Permit::default();
        guard.enter(&Call::default(), &mut permit).map_err(|why| format!("not entered: {why:?}"))?;
        let exited = permit.exit(Outcome::Success);
        Ok(exited.map_err(|why| format!("not exited: {why:?}"))?)
    }))
}

fn use_counter(runtime: &Runtime, number: u64) -> Use {
    let counter = runtime.counter(&describe("bench_calls", &[("number", &number.to_string())]))?;
    Ok(Box::new(move || done(counter.add(1))))
}

fn use_gauge(runtime: &Runtime, number: u64) -> Use {
    let gauge = runtime.gauge(&describe("bench_level", &[("number", &number.to_string())]))?;
    Ok(Box::new(move || done(gauge.set(1.0))))
}

/// Records latencies from 0.1 ms to 0.67 s: the room that a histogram takes grows with the range of its values.
fn use_histogram(runtime: &Runtime, number: u64) -> Use {
    let labels = number.to_string();
    let histogram = runtime.histogram(&describe("bench_seconds", &[("number", &labels)]))?;
    Ok(Box::new(move || latencies().iter().try_for_each(|value| done(histogram.record(*value)))))
}

fn done(result: Result<(), tidegate_core::ErrorKind>) -> Result<(), Failure> {
    Ok(result.map_err(|why| format!("not recorded: {why:?}"))?)
}

fn describe<'a>(name: &'a str, labels: &'a [(&'a str, &'a str)]) -> Description<'a> {
    Description { name, labels, ..Description::default() }
}
