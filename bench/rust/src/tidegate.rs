//! Tidegate in Rust, straight on its core.

use std::hint::black_box;

use tidegate_core::metrics::instrument::Description;
use tidegate_core::{Call, Options, Runtime};
use tidegate_wasm_host::Host;

use crate::measure::Case;
use crate::peers::LABELS;
use crate::stages::{self, guarded};
use crate::values::Cycle;
use crate::{Failure, alone};

/// A runtime with the rules and the policy of the benchmark.
pub struct Tidegate {
    runtime: &'static Runtime,
}

impl Tidegate {
    /// Opens it, for good; `rules` and `policy` are paths.
    pub fn open(rules: &str, policy: &str) -> Result<Self, Failure> {
        let runtime = Runtime::open(&Options { faults: true, ..Options::default() })?;
        let host = Host::new();
        host.load("bench", &std::fs::read(policy)?, &Default::default())?;
        runtime.set_policy_host(host);
        runtime.apply_rules(&std::fs::read(rules)?)?;
        Ok(Self { runtime: Box::leak(Box::new(runtime)) })
    }

    /// The guards of `bench/rules.json`, what stands without a guard, a counter and a histogram. The token bucket and the breaker are guards
    /// with that one stage: what a user of the product can have.
    pub fn cases(&self) -> Result<Vec<Case>, Failure> {
        let guard = |work, name| Ok::<_, Failure>(guarded(work, self.runtime.guard(name)?, Call::default()));
        let mut cases = vec![
            guard("guard", "bench.guard")?,
            guard("guard_policy", "bench.policy")?,
            guard("token_bucket", "bench.rate")?,
            guard("breaker", "bench.breaker")?,
            self.counter("counter", ["bench_calls"; 2])?,
            self.counter("counter_apart", ["bench_calls_0", "bench_calls_1"])?,
            self.histogram("histogram", ["bench_seconds"; 2])?,
            self.histogram("histogram_apart", ["bench_seconds_0", "bench_seconds_1"])?,
        ];
        cases.extend(alone::cases(self.runtime)?);
        cases.extend(stages::cases(self.runtime)?);
        Ok(cases)
    }

    /// `names`: which counter each thread adds to. Those that are apart show what sharing one costs.
    fn counter(&self, work: &'static str, names: [&'static str; 2]) -> Result<Case, Failure> {
        let counters = [self.runtime.counter(&describe(names[0]))?, self.runtime.counter(&describe(names[1]))?];
        Ok(Case::new(work, "tidegate-rust", move |thread| {
            let counter = counters[thread % 2];
            move || {
                black_box(counter.add(1)).ok();
            }
        }))
    }

    fn histogram(&self, work: &'static str, names: [&'static str; 2]) -> Result<Case, Failure> {
        let histograms = [self.runtime.histogram(&describe(names[0]))?, self.runtime.histogram(&describe(names[1]))?];
        Ok(Case::new(work, "tidegate-rust", move |thread| {
            let histogram = histograms[thread % 2];
            let mut values = Cycle::new();
            move || {
                black_box(histogram.record(black_box(values.next()))).ok();
            }
        }))
    }
}

/// With the labels that the peers' series have.
fn describe(name: &'static str) -> Description<'static> {
    Description { name, labels: &LABELS, ..Description::default() }
}
