//! What a page has to hold beyond its grammar: suffixes, units, buckets, no name or series twice.

use super::grammar::{Family, Sample};
use std::collections::HashSet;
use tidegate_telemetry::Format;

/// The first thing that is wrong with the families of a page.
pub fn check(families: &[Family], format: Format) -> Result<(), String> {
    let (mut names, mut series) = (HashSet::new(), HashSet::new());
    for family in families {
        check_family(family, format).map_err(|error| format!("{}: {error}", family.name))?;
        for name in reserved(family, format) {
            if !names.insert(name.clone()) {
                return Err(format!("name {name} could belong to two families"));
            }
        }
        for sample in &family.samples {
            if !series.insert((&sample.name, &sample.labels)) {
                return Err(format!("{sample:?} stands twice"));
            }
        }
    }
    Ok(())
}

/// Sample names that readers may take for this family's.
fn reserved(family: &Family, format: Format) -> Vec<String> {
    let suffixes: &[&str] = match (family.kind.as_str(), format) {
        ("counter", Format::OpenMetrics) => &["_total", "_created"],
        ("histogram", _) => &["", "_bucket", "_sum", "_count"],
        _ => &[""],
    };
    suffixes.iter().map(|suffix| format!("{}{suffix}", family.name)).collect()
}

fn check_family(family: &Family, format: Format) -> Result<(), String> {
    if let Some(unit) = &family.unit {
        let suffixed = family.name.strip_suffix(unit.as_str()).is_some_and(|rest| rest.ends_with('_'));
        if unit.is_empty() || !suffixed {
            return Err(format!("unit {unit:?} is not its suffix"));
        }
    }
    match (family.kind.as_str(), format) {
        ("counter", Format::OpenMetrics) => each(family, &format!("{}_total", family.name), is_count),
        ("counter", _) if !family.name.ends_with("_total") => Err("no _total".into()),
        ("counter", _) => each(family, &family.name, is_count),
        ("gauge", _) => each(family, &family.name, |_| true),
        ("histogram", _) => check_histogram(family),
        (other, _) => Err(format!("type {other:?}")),
    }
}

fn each(family: &Family, name: &str, good: impl Fn(&Sample) -> bool) -> Result<(), String> {
    match family.samples.iter().find(|sample| sample.name != name || !good(sample)) {
        Some(bad) => Err(format!("{bad:?}")),
        None => Ok(()),
    }
}

fn is_count(sample: &Sample) -> bool {
    sample.value.parse::<u64>().is_ok()
}

/// Buckets of one label set after the other, rising, then sum and count.
fn check_histogram(family: &Family) -> Result<(), String> {
    let mut rest = family.samples.as_slice();
    let named = |sample: &Sample, suffix: &str| sample.name == format!("{}{suffix}", family.name);
    while !rest.is_empty() {
        let buckets = rest.iter().take_while(|sample| named(sample, "_bucket")).count();
        let [sum, count, others @ ..] = &rest[buckets..] else { return Err("no sum and count".into()) };
        if !named(sum, "_sum") || !named(count, "_count") || sum.labels != count.labels {
            return Err(format!("{sum:?} {count:?}"));
        }
        check_buckets(&rest[..buckets], count)?;
        rest = others;
    }
    Ok(())
}

fn check_buckets(buckets: &[Sample], count: &Sample) -> Result<(), String> {
    let (mut bound, mut upto) = (f64::NEG_INFINITY, 0);
    for bucket in buckets {
        let (le, labels) = bucket.labels.split_last().filter(|(le, _)| le.0 == "le").ok_or("no le")?;
        let next = (le.1.replace("Inf", "inf").parse::<f64>(), bucket.value.parse::<u64>());
        let (Ok(le), Ok(n)) = next else { return Err(format!("{bucket:?}")) };
        if le <= bound || n < upto || labels != count.labels {
            return Err(format!("{bucket:?} out of order"));
        }
        (bound, upto) = (le, n);
    }
    let whole = bound == f64::INFINITY && count.value == upto.to_string();
    if whole { Ok(()) } else { Err(format!("+Inf is not the count: {count:?}")) }
}
