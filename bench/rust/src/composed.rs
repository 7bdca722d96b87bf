//! The guard that a Rust service would put together from the peers.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use failsafe::CircuitBreaker;
use governor::DefaultDirectRateLimiter;
use prometheus_client::metrics::histogram::Histogram;

use crate::measure::Case;
use crate::peers::{prometheus_histogram, unreached_limit};

const LIMIT: u32 = 1_000_000;

struct Parts {
    limiter: DefaultDirectRateLimiter,
    inflight: CachePadded<AtomicU32>,
    histogram: Histogram,
}

/// governor's limiter, an atomic in-flight count written by hand, failsafe's breaker around the call,
/// prometheus-client's histogram of its duration; who `composed-rust`.
pub fn guard() -> Case {
    let breaker = failsafe::Config::new().build();
    let parts = Arc::new(Parts {
        limiter: unreached_limit(),
        inflight: CachePadded::new(AtomicU32::new(0)),
        histogram: prometheus_histogram(),
    });
    Case::new("guard", "composed-rust", move |_| {
        let (parts, breaker) = (Arc::clone(&parts), breaker.clone());
        move || {
            black_box(call(&parts, &breaker));
        }
    })
}

fn call(parts: &Parts, breaker: &impl CircuitBreaker) -> bool {
    if parts.limiter.check().is_err() {
        return false;
    }
    let admitted = parts.inflight.fetch_add(1, Ordering::Relaxed) < LIMIT;
    let start = Instant::now();
    let done = admitted && breaker.call(|| Ok::<u32, ()>(black_box(1))).is_ok();
    parts.histogram.observe(start.elapsed().as_secs_f64());
    parts.inflight.fetch_sub(1, Ordering::Relaxed);
    done
}
