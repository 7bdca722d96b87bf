//! Whatever stands in the segment, the page is valid, and nothing is lost without being counted.

mod common;

use common::{FORMATS, read, value};
use proptest::prelude::*;
use tidegate_core::guard::stats::GuardStats;
use tidegate_core::metrics::histogram::Histogram;
use tidegate_core::metrics::name::label_text;
use tidegate_core::metrics::snapshot::{Family, Snapshot, Value};
use tidegate_telemetry::PolicyFigures;

/// Anything, with a liking for what has to be escaped.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![2 => "[\"\\\\\n\r\t\0 =,{}#nü]{0,8}", 1 => any::<String>()]
}

/// Few letters, so that names clash; now and then anything at all.
fn name() -> impl Strategy<Value = String> {
    let suffix = || "(_total|_created|_bucket|_sum|_count|_seconds|_bytes|)";
    let clashing = ("[ab:]", suffix(), suffix()).prop_map(|(stem, one, two)| format!("{stem}{one}{two}"));
    prop_oneof![8 => clashing, 1 => Just("tidegate_rules_version".into()), 1 => text()]
}

fn unit() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 2 => Just("seconds".into()), 1 => "[a-z/ %_]{0,4}", 1 => text()]
}

fn labels() -> impl Strategy<Value = String> {
    let made = prop::collection::btree_map("[a-c]|le", text(), 0..3).prop_map(|labels| {
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        label_text(&labels).unwrap_or_default()
    });
    let garbled = "([abl][e=]?[=]?\"?[\\\\\"n\n},x]{0,4}\"?,?){0,3}";
    prop_oneof![6 => made, 2 => garbled, 1 => text()]
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let count = || prop_oneof![5 => 0u64..9, 1 => any::<u64>()];
    let buckets = prop::collection::vec((any::<prop::sample::Index>(), count()), 0..6);
    (any::<f64>(), count(), 0usize..1536, buckets).prop_map(|(sum, zero, len, filled)| {
        let mut buckets = vec![0; len];
        for (at, n) in filled.iter().filter(|_| len > 0) {
            buckets[at.index(len)] = *n;
        }
        Histogram { sum, zero, buckets }
    })
}

fn series() -> impl Strategy<Value = Vec<(String, Value)>> {
    let of = |value: BoxedStrategy<Value>| prop::collection::vec((labels(), value), 0..4);
    let counters = || of(any::<u64>().prop_map(Value::Counter).boxed());
    let gauges = || of(any::<f64>().prop_map(Value::Gauge).boxed());
    let histograms = || of(histogram().prop_map(Value::Histogram).boxed());
    let mixed = (counters(), gauges(), histograms()).prop_map(|(a, b, c)| [a, b, c].concat());
    let sorted = |mut series: Vec<(String, Value)>| {
        series.sort_by(|a, b| a.0.cmp(&b.0));
        series
    };
    prop_oneof![3 => counters(), 3 => gauges(), 3 => histograms(), 1 => mixed].prop_map(sorted)
}

fn families() -> impl Strategy<Value = Vec<(String, Family)>> {
    let family = (text(), unit(), series()).prop_map(|(help, unit, series)| Family { help, unit, series });
    prop::collection::vec((name(), family), 0..8)
}

fn guard() -> impl Strategy<Value = GuardStats> {
    let numbers = (any::<[u64; 6]>(), prop::collection::vec(any::<u64>(), 9), any::<u64>(), histogram());
    numbers.prop_map(|(calls, rejected, limit, latency)| {
        let rejected = std::array::from_fn(|stage| rejected[stage]);
        GuardStats { calls, rejected, limit, latency, ..GuardStats::default() }
    })
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let guards = prop::collection::btree_map(text(), guard(), 0..3);
    (families(), guards).prop_map(|(families, guards)| Snapshot {
        families: families.into_iter().collect(),
        guards,
        ..Snapshot::default()
    })
}

fn policy() -> impl Strategy<Value = PolicyFigures> {
    let counters = prop::collection::vec((text(), any::<u64>()), 0..3);
    (text(), counters).prop_map(|(name, counters)| PolicyFigures { name, counters, ..PolicyFigures::default() })
}

proptest! {
    #[test]
    fn the_page_is_valid(snapshot in snapshot(), policies in prop::collection::vec(policy(), 0..3)) {
        let pages = FORMATS.map(|format| read(&snapshot, &policies, format));
        let [text, open] = pages.each_ref().map(|page| page.iter().flat_map(|family| &family.samples));
        let same = text.zip(open).all(|(a, b)| a == b);
        prop_assert!(same);
    }

    #[test]
    fn what_is_left_out_is_counted(families in families()) {
        let families = families.into_iter().filter(|(_, family)| !family.series.is_empty());
        let snapshot = Snapshot { families: families.collect(), ..Snapshot::default() };
        let page = read(&snapshot, &[], FORMATS[0]);
        let users: Vec<_> = page.iter().filter(|family| !family.name.starts_with("tidegate_")).collect();
        let left_out = value(&page, "tidegate_metrics_conflicts", &[]) as usize;
        let lost_families = snapshot.families.len() - users.len();
        let all_series: usize = snapshot.families.values().map(|family| family.series.len()).sum();
        let lost_series = all_series - users.iter().map(|family| series_of(family)).sum::<usize>();
        prop_assert!(left_out >= lost_families && left_out <= lost_families + lost_series);
        prop_assert!(lost_families > 0 || left_out == lost_series);
    }
}

fn series_of(family: &common::grammar::Family) -> usize {
    let count = format!("{}_count", family.name);
    family.samples.iter().filter(|sample| family.kind != "histogram" || sample.name == count).count()
}
