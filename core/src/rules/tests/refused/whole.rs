use crate::rules::tests::{FULL, refuse};
use crate::rules::{MAX_PROBLEMS, Report, parse};

fn paths(report: &Report) -> Vec<&str> {
    report.errors.iter().map(|problem| problem.path.as_str()).collect()
}

#[test]
fn every_error_is_reported_at_once() {
    let report = refuse(
        r#"{"version": 0, "verzion": 1, "requires": ["teleport"], "defaults": {"timeout": 5},
            "guards": {
              "payments.charge": {"rate": [{"limit": 1}, {"limit": 1e999, "per": "x", "burst": 0}], "slow": 1},
              "b": {"breaker": {"probes": 0}}, "": 1}}"#,
    );
    let want = [
        "$.verzion",
        "$.version",
        "$.requires[0]",
        "$.defaults.timeout",
        r#"$.guards[""]"#,
        r#"$.guards[""]"#,
        "$.guards.b.breaker",
        "$.guards.b.breaker.probes",
        r#"$.guards["payments.charge"].slow"#,
        r#"$.guards["payments.charge"].rate[1].limit"#,
        r#"$.guards["payments.charge"].rate[1].per"#,
        r#"$.guards["payments.charge"].rate[1].burst"#,
    ];
    assert_eq!(paths(&report), want, "{report}");
    assert!(report.summary(40).starts_with("12 errors: $.verzion: unknown"));
}

#[test]
fn a_document_of_nothing_but_errors_is_counted_in_bounds() {
    let names = (0..200_000).map(|i| format!(r#""field{i}":0"#));
    let report = refuse(&format!("{{{}}}", Vec::from_iter(names).join(",")));
    assert_eq!((report.errors.len(), report.count()), (MAX_PROBLEMS, 200_001));
    assert!(report.to_json().len() < 20_000);
}

#[test]
fn garbage_is_refused_whatever_its_size() {
    for byte in [0, b' ', b'[', b'"', b'{', b'9', 0xff] {
        for len in [0, 1, 100, 4 << 20, 10_000_000] {
            let report = parse(&vec![byte; len]).unwrap_err();
            assert_eq!((report.count(), paths(&report)), (1, vec!["$"]), "{byte} {len}");
        }
    }
}

#[test]
fn every_truncation_of_a_document_is_refused() {
    let whole = FULL.as_bytes();
    for len in 0..whole.len() {
        assert!(parse(&whole[..len]).is_err(), "{len}");
    }
}
