//! docs/metrics.md is what the table generates, and the table is what is exposed.

mod common;

use common::{read, sample};
use std::fs::read_to_string;
use std::path::Path;
use tidegate_telemetry::{Format, reference_markdown};

#[test]
fn the_reference_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stale = "stale: run `cargo run -p tidegate-telemetry --example metrics_docs`";
    assert!(page == reference_markdown(), "docs/metrics.md is {stale}");
}

#[test]
fn every_listed_metric_is_exposed() {
    let families = read(&sample::snapshot(), &sample::policies(), Format::PrometheusText);
    let page = reference_markdown();
    let listed = page.lines().filter_map(|line| line.strip_prefix("| `tidegate_")?.split('`').next());
    let listed: Vec<String> = listed.map(|name| format!("tidegate_{name}")).collect();
    let own = families.iter().filter(|family| family.name.starts_with("tidegate_"));
    assert_eq!(listed, own.map(|family| family.name.clone()).collect::<Vec<_>>());
}
