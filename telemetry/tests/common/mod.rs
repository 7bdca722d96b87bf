//! What the tests of pages share.
#![allow(dead_code)]

pub mod grammar;
pub mod meaning;
pub mod sample;

use grammar::Family;
use tidegate_core::metrics::snapshot::Snapshot;
use tidegate_telemetry::{Format, PolicyFigures, render};

pub const FORMATS: [Format; 2] = [Format::PrometheusText, Format::OpenMetrics];

/// Renders, reads back strictly and checks.
pub fn read(snapshot: &Snapshot, policies: &[PolicyFigures], format: Format) -> Vec<Family> {
    let page = render(snapshot, policies, format);
    let families = grammar::read(&page, format).unwrap_or_else(|error| panic!("{error}\n{page}"));
    meaning::check(&families, format).unwrap_or_else(|error| panic!("{error}\n{page}"));
    families
}

/// The value of the one sample with this name and these label values.
pub fn value(families: &[Family], name: &str, labels: &[&str]) -> f64 {
    let samples = families.iter().flat_map(|family| &family.samples);
    let mut found = samples.filter(|sample| sample.name == name && sample.labels.iter().map(|(_, v)| v).eq(labels));
    let sample = found.next().unwrap_or_else(|| panic!("no {name} {labels:?}"));
    sample.number()
}
