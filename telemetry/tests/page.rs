//! The page of a runtime that did a bit of everything.

mod common;

use common::{FORMATS, read, sample, value};
use tidegate_core::metrics::snapshot::{Snapshot, Value};
use tidegate_core::runtime::OVERFLOW_GUARD;
use tidegate_telemetry::{Format, PolicyFigures, render};

#[test]
fn guards_show_what_they_did() {
    for format in FORMATS {
        let page = read(&sample::snapshot(), &[], format);
        let is = |name: &str, labels: &[&str]| value(&page, name, labels);
        assert_eq!(is("tidegate_guard_calls_total", &["payments.charge", "timeout"]), 1.0);
        assert_eq!(is("tidegate_guard_requests_total", &["payments.charge", "ok"]), 2.0);
        assert_eq!(is("tidegate_guard_requests_total", &["payments.charge", "error"]), 3.0);
        assert_eq!(is("tidegate_guard_requests_total", &["payments.charge", "cancelled"]), 1.0);
        assert_eq!(is("tidegate_guard_requests_total", &["payments.refund", "rejected"]), 1.0);
        assert_eq!(is("tidegate_guard_rejected_total", &["payments.refund", "breaker", "open"]), 1.0);
        assert!(is("tidegate_guard_shadow_rejected_total", &["payments.charge", "rate", "rate_limited"]) > 0.0);
        assert_eq!(is("tidegate_guard_limit", &["payments.charge"]), 2.0);
        assert_eq!(is("tidegate_guard_inflight", &["payments.charge"]), 0.0);
        assert_eq!(is("tidegate_breaker_state", &["payments.refund", "open"]), 1.0);
        assert_eq!(is("tidegate_breaker_state", &["payments.refund", "closed"]), 0.0);
        assert_eq!(is("tidegate_breaker_state", &["odd \"name\" \\", "closed"]), 1.0);
        assert_eq!(is("tidegate_breaker_transitions_total", &["payments.refund", "open"]), 1.0);
        assert_eq!(is("tidegate_breaker_transitions_total", &["payments.refund", "closed"]), 0.0);
        assert_eq!(is("tidegate_guard_duration_seconds_count", &["payments.charge"]), 5.0);
        assert_eq!(is("tidegate_guard_duration_seconds_bucket", &["payments.charge", "0.015625"]), 0.0);
        assert_eq!(is("tidegate_guard_duration_seconds_bucket", &["payments.charge", "0.03125"]), 5.0);
        assert_eq!(is("tidegate_rules_version", &[]), 7.0);
    }
}

#[test]
fn what_stands_alone_shows_where_it_stands() {
    for format in FORMATS {
        let page = read(&sample::snapshot(), &[], format);
        let is = |name: &str, labels: &[&str]| value(&page, name, labels);
        assert_eq!(is("tidegate_limiter_tokens", &["jobs"]), -2.0);
        assert_eq!(is("tidegate_limiter_limit_per_second", &["jobs"]), 10.0);
        assert_eq!(is("tidegate_limiter_burst", &["jobs"]), 5.0);
        assert_eq!(is("tidegate_limiter_rejected_total", &["jobs"]), 1.0);
        assert_eq!(is("tidegate_limiter_tokens", &["odd \"limit\""]), 40.0);
        assert_eq!(is("tidegate_limiter_limit_per_second", &["odd \"limit\""]), 1.0);
        assert_eq!(is("tidegate_counted_breaker_state", &["db", "open"]), 1.0);
        assert_eq!(is("tidegate_counted_breaker_state", &["db", "closed"]), 0.0);
    }
}

#[test]
fn what_a_guard_lacks_is_not_shown() {
    let page = read(&sample::snapshot(), &[], Format::PrometheusText);
    let has = |name: &str, guard: &str| {
        let family = page.iter().find(|family| family.name == name).unwrap();
        family.samples.iter().any(|sample| sample.labels[0].1 == guard)
    };
    assert!(has("tidegate_guard_limit", "payments.charge") && !has("tidegate_guard_limit", "payments.refund"));
    assert!(has("tidegate_breaker_state", "payments.refund") && !has("tidegate_breaker_state", "payments.charge"));
    assert!(!has("tidegate_guard_calls_total", OVERFLOW_GUARD));
}

#[test]
fn the_overflow_guard_is_shown_once_it_is_used() {
    let mut snapshot = sample::snapshot();
    snapshot.guards.get_mut(OVERFLOW_GUARD).unwrap().rejected[8] = 2;
    let page = read(&snapshot, &[], Format::OpenMetrics);
    assert_eq!(value(&page, "tidegate_guard_rejected_total", &[OVERFLOW_GUARD, "rate", "rate_limited"]), 2.0);
}

#[test]
fn stages_to_come_are_shown_when_they_count() {
    let mut snapshot = sample::snapshot();
    let rendered = |snapshot: &Snapshot| render(snapshot, &[], Format::PrometheusText);
    assert!(!rendered(&snapshot).contains("stage=\"throttle\""));
    snapshot.guards.get_mut("no.rules").unwrap().rejected[4] = 1;
    assert!(rendered(&snapshot).contains("{guard=\"no.rules\",stage=\"throttle\",reason=\"throttled\"} 1\n"));
}

#[test]
fn policies_show_what_they_did() {
    for format in FORMATS {
        let page = read(&Snapshot::default(), &sample::policies(), format);
        let is = |name: &str, labels: &[&str]| value(&page, name, labels);
        assert_eq!(is("tidegate_policy_calls_total", &["tenant-tiers", "deny"]), 10.0);
        assert_eq!(is("tidegate_policy_failures_total", &["tenant-tiers", "trap"]), 1.0);
        assert_eq!(is("tidegate_policy_generation", &["tenant-tiers"]), 3.0);
        assert_eq!(is("tidegate_policy_events_total", &["tenant-tiers", "shed"]), 9.0);
        assert_eq!(is("tidegate_policy_events_total", &["tenant-tiers", sample::AWKWARD]), 1.0);
        assert_eq!(is("tidegate_policy_swaps_total", &[sample::AWKWARD]), 0.0);
    }
}

#[test]
fn user_metrics_are_named_and_counted() {
    for format in FORMATS {
        let page = read(&sample::snapshot(), &[], format);
        let is = |name: &str, labels: &[&str]| value(&page, name, labels);
        assert_eq!(is("http_requests_total", &["GET", "/a"]), 3.0);
        assert_eq!(is("sent_bytes_total", &["GET", "/a"]), 4096.0);
        assert_eq!(is("temperature_celsius", &["GET", "/a"]), -3.25);
        assert_eq!(is("edge", &["neg"]), f64::NEG_INFINITY);
        assert_eq!(is("edge", &["small"]), 1e-300);
        assert_eq!(is("wait_seconds_bucket", &["GET", "/a", "0.5"]), 5.0);
        assert_eq!(is("wait_seconds_bucket", &["GET", "/a", "128.0"]), 6.0);
        assert_eq!(is("wait_seconds_count", &["GET", "/a"]), 7.0);
        assert_eq!(is("body_size_bytes_bucket", &["16.0"]), 1.0);
        assert_eq!(is("body_size_bytes_bucket", &["64.0"]), 2.0);
        assert_eq!(is("body_size_bytes_bucket", &["+Inf"]), 4.0);
        assert_eq!(is("tidegate_metrics_conflicts", &[]), 1.0, "http_requests_total");
    }
}

#[test]
fn helps_and_units_arrive() {
    for format in FORMATS {
        let page = read(&sample::snapshot(), &[], format);
        let lines = page.iter().find(|family| family.name.starts_with("lines")).unwrap();
        assert_eq!(lines.help.as_deref(), Some(sample::AWKWARD));
        let wait = page.iter().find(|family| family.name == "wait_seconds").unwrap();
        assert_eq!(wait.unit.as_deref(), (format == Format::OpenMetrics).then_some("seconds"));
    }
}

#[test]
fn a_page_looks_like_this() {
    let mut snapshot = Snapshot::default();
    let family = snapshot.families.entry("sent".into()).or_default();
    (family.help, family.unit) = ("A \"b\" \\.".into(), "bytes".into());
    family.series = vec![(String::new(), Value::Counter(1)), ("a=\"b\"".into(), Value::Counter(2))];
    let samples = "sent_bytes_total 1\nsent_bytes_total{a=\"b\"} 2\n";
    let text = render(&snapshot, &[], Format::PrometheusText);
    let head = "# HELP sent_bytes_total A \"b\" \\\\.\n# TYPE sent_bytes_total counter\n";
    assert!(text.starts_with(&format!("{head}{samples}# HELP")), "{text}");
    let open = render(&snapshot, &[], Format::OpenMetrics);
    let head = "# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\n# HELP sent_bytes A \\\"b\\\" \\\\.\n";
    assert!(open.starts_with(&format!("{head}{samples}# TYPE")), "{open}");
}

#[test]
fn both_formats_hold_the_same_series() {
    let (snapshot, policies) = (sample::snapshot(), sample::policies());
    let samples = |format| read(&snapshot, &policies, format).into_iter().flat_map(|family| family.samples);
    assert!(samples(FORMATS[0]).eq(samples(FORMATS[1])));
}

#[test]
fn an_empty_runtime_has_a_page() {
    for format in FORMATS {
        let page = read(&Snapshot::default(), &[PolicyFigures::default()], format);
        assert_eq!(value(&page, "tidegate_build_info", &[env!("CARGO_PKG_VERSION")]), 1.0);
    }
}
