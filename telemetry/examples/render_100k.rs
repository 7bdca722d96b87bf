//! What a page of 100 000 counter series costs, beside prometheus-client on the same series:
//! `cargo run --release -p tidegate-telemetry --example render_100k`.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::hint::black_box;
use std::time::Instant;
use tidegate_core::metrics::instrument::Description;
use tidegate_core::segment::SegmentOptions;
use tidegate_core::{Options, Runtime};
use tidegate_telemetry::{Format, render};

/// A metric holds at most 2000 series.
const METRICS: usize = 50;
const SERIES: usize = 2000;
const ROUNDS: usize = 9;

fn main() {
    let runtime = tidegate();
    let registry = peer();
    let snapshot = runtime.snapshot().expect("a snapshot");
    let taken = median(|| runtime.snapshot().expect("a snapshot").families.len());
    let text = median(|| render(&snapshot, &[], Format::PrometheusText).len());
    let open = median(|| render(&snapshot, &[], Format::OpenMetrics).len());
    let whole = median(|| render(&runtime.snapshot().expect("a snapshot"), &[], Format::PrometheusText).len());
    let other = median(|| {
        let mut page = String::new();
        encode(&mut page, &registry).expect("a page");
        page.len()
    });
    println!("{} series, ns per series, median of {ROUNDS}:", METRICS * SERIES);
    println!("  snapshot                    {taken:6.1}");
    println!("  render, Prometheus text     {text:6.1}");
    println!("  render, OpenMetrics         {open:6.1}");
    println!("  snapshot and render, text   {whole:6.1}");
    println!("  prometheus-client, encode   {other:6.1}");
    println!("  of prometheus-client: render {:.2}, snapshot and render {:.2}", text / other, whole / other);
}

fn values(metric: usize, series: usize) -> [(&'static str, String); 3] {
    let value = |n: usize| format!("value-{n}");
    [("instance", value(metric)), ("method", value(series % 7)), ("path", format!("/v1/things/{series}"))]
}

fn tidegate() -> Runtime {
    let segment = SegmentOptions { bytes: 1 << 30, ..SegmentOptions::default() };
    let runtime = Runtime::open(&Options { segment, ..Options::default() }).expect("a runtime");
    for metric in 0..METRICS {
        let name = format!("requests_{metric}_total");
        for series in 0..SERIES {
            let values = values(metric, series);
            let labels = values.each_ref().map(|(name, value)| (*name, value.as_str()));
            let what = Description { name: &name, help: "Requests answered.", unit: "", labels: &labels };
            let counter = runtime.counter(&what).expect("a counter");
            counter.add((series * 1001) as u64).expect("a live counter");
        }
    }
    runtime
}

fn peer() -> Registry {
    let mut registry = Registry::default();
    for metric in 0..METRICS {
        let family = Family::<Vec<(&'static str, String)>, Counter>::default();
        for series in 0..SERIES {
            family.get_or_create(&values(metric, series).to_vec()).inc_by((series * 1001) as u64);
        }
        registry.register(format!("requests_{metric}"), "Requests answered", family);
    }
    registry
}

fn median(mut work: impl FnMut() -> usize) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| once(&mut work)).collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2] / (METRICS * SERIES) as f64
}

fn once(work: &mut impl FnMut() -> usize) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos() as f64
}
