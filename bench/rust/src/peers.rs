//! The Rust peers, set up as their documentation shows, each on the work that it is made for.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;

use failsafe::CircuitBreaker;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::measure::Case;
use crate::values::Cycle;

/// All of them.
pub fn cases() -> Vec<Case> {
    let mut cases =
        vec![governor("token_bucket"), governor("limiter_allow"), failsafe("breaker"), failsafe("breaker_counted")];
    cases.extend(prometheus());
    cases.extend(opentelemetry());
    cases
}

/// A limit that is never reached: 10^9 a second, and as large a burst.
pub fn unreached_limit() -> DefaultDirectRateLimiter {
    let limit = NonZeroU32::new(1_000_000_000).unwrap_or(NonZeroU32::MAX);
    RateLimiter::direct(Quota::per_second(limit).allow_burst(limit))
}

/// The direct limiter with its default clock (quanta).
fn governor(work: &'static str) -> Case {
    let limiter = Arc::new(unreached_limit());
    Case::new(work, "governor", move |_| {
        let limiter = Arc::clone(&limiter);
        move || {
            black_box(limiter.check().is_ok());
        }
    })
}

/// The breaker with its default policy (a success rate over a window, or consecutive failures), closed.
fn failsafe(work: &'static str) -> Case {
    let breaker = failsafe::Config::new().build();
    Case::new(work, "failsafe", move |_| {
        let breaker = breaker.clone();
        move || {
            black_box(breaker.call(|| Ok::<u32, ()>(black_box(1))).is_ok());
        }
    })
}

/// The three labels that a guarded call would carry.
pub const LABELS: [(&str, &str); 3] = [("guard", "payments.charge"), ("outcome", "success"), ("method", "POST")];

type Labels = Vec<(String, String)>;

fn labels() -> Labels {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    LABELS.map(owned).to_vec()
}

/// A classic histogram of sixteen buckets, from 0.1 ms to 3 s.
pub fn prometheus_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 16))
}

/// Series taken out of their family once and kept, which is the cheapest way it has.
fn prometheus() -> Vec<Case> {
    let counters: Family<Labels, Counter> = Family::default();
    let histograms = Family::<Labels, Histogram>::new_with_constructor(prometheus_histogram as fn() -> _);
    vec![
        Case::new("counter", "prometheus-client", move |_| {
            let counter = counters.get_or_create_owned(&labels());
            move || {
                black_box(counter.inc());
            }
        }),
        Case::new("histogram", "prometheus-client", move |_| {
            let histogram = histograms.get_or_create_owned(&labels());
            let mut values = Cycle::new();
            move || histogram.observe(black_box(values.next()))
        }),
    ]
}

/// Instruments with three attributes given at every call (bound instruments are still experimental), in
/// an SDK that would really collect them.
fn opentelemetry() -> Vec<Case> {
    let provider = SdkMeterProvider::builder().with_reader(ManualReader::builder().build()).build();
    let meter = provider.meter("bench");
    vec![otel_counter(&meter, provider.clone()), otel_histogram(&meter, provider)]
}

fn otel_counter(meter: &Meter, keep: SdkMeterProvider) -> Case {
    let counter = meter.u64_counter("calls").build();
    Case::new("counter", "opentelemetry", move |_| {
        let (counter, keep) = (counter.clone(), keep.clone());
        move || {
            black_box(&keep);
            counter.add(1, &LABELS.map(|(name, value)| KeyValue::new(name, value)));
        }
    })
}

fn otel_histogram(meter: &Meter, keep: SdkMeterProvider) -> Case {
    let histogram = meter.f64_histogram("duration").build();
    Case::new("histogram", "opentelemetry", move |_| {
        let (histogram, keep) = (histogram.clone(), keep.clone());
        let mut values = Cycle::new();
        move || {
            black_box(&keep);
            let labels = LABELS.map(|(name, value)| KeyValue::new(name, value));
            histogram.record(black_box(values.next()), &labels);
        }
    })
}
