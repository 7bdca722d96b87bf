//! The example policies, built from source: the same decisions from C and from Rust.

mod common;

use common::record;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use tidegate_core::policy::{Action, Attribute, Policy, PolicyHost, Record, Verdict};
use tidegate_wasm_host::{Host, Options};

/// Builds what is not up to date; fails with what is missing.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("a root");
        let policies = std::fs::canonicalize(root.join("policies")).expect("policies");
        let make = Command::new("make").arg("-C").arg(&policies).output().expect("make runs");
        assert!(make.status.success(), "{}", String::from_utf8_lossy(&make.stderr));
        policies.join("../target/policies")
    })
}

fn wasm(name: &str) -> Vec<u8> {
    std::fs::read(built().join(name).with_extension("wasm")).expect("built")
}

struct Loaded {
    host: Arc<Host>,
    policy: Arc<dyn Policy>,
}

impl Loaded {
    fn new(name: &str, config: &str) -> Self {
        let host = Host::new();
        let options = Options { config: config.into(), ..Options::default() };
        host.load(name, &wasm(name), &options).unwrap_or_else(|error| panic!("{name}: {error}"));
        let policy = host.find(name).expect("loaded");
        Self { host, policy }
    }

    fn ask(&self, record: &Record, attributes: &[(&str, &str)]) -> Verdict {
        let id = |name: &str| self.host.attribute_id(name).expect("room");
        let attributes: Vec<_> =
            attributes.iter().map(|(name, value)| Attribute { id: id(name), value: value.as_bytes() }).collect();
        self.policy.decide(record, &attributes).0.expect("an answer")
    }
}

const PASSED: Verdict = Verdict { action: Action::Allow, reason: 0, argument: 0 };

fn refused(reason: u16, argument: u32) -> Verdict {
    Verdict { action: Action::Deny, reason, argument }
}

fn under(pressure: u32) -> Record {
    Record { pressure, ..record(0) }
}

/// Runs a table of cases on both variants of an example.
fn in_both(example: &str, config: &str, cases: impl Fn(&Loaded)) {
    for language in ["c", "rust"] {
        cases(&Loaded::new(&format!("{example}-{language}"), config));
    }
}

#[test]
fn tenant_tiers_refuse_free_tenants_first() {
    let (free, standard) = (refused(1, 1000), refused(2, 1000));
    let table = [
        (0, "free", PASSED),
        (800, "free", PASSED),
        (801, "free", free),
        (801, "standard", PASSED),
        (950, "standard", PASSED),
        (951, "standard", standard),
        (951, "free", free),
        (1000, "premium", PASSED),
        (1000, "freedom", standard),
        (1000, "", standard),
        (900, "gold", PASSED),
    ];
    in_both("tenant-tiers", "", |loaded| {
        for (pressure, tier, expected) in table {
            assert_eq!(loaded.ask(&under(pressure), &[("tier", tier)]), expected, "{pressure} {tier:?}");
        }
        assert_eq!(loaded.ask(&under(1000), &[]), standard, "without a tier");
        assert_eq!(loaded.ask(&under(1000), &[("tenant", "free")]), standard, "another attribute");
        let critical = Record { criticality: 1, ..under(1000) };
        assert_eq!(loaded.ask(&critical, &[("tier", "free")]), PASSED);
    });
}

#[test]
fn tenant_tiers_obey_their_configuration_and_count() {
    let config = r#"{"free_above": 100, "standard_above": 200, "retry_after_ms": 7, "note": "free_above"}"#;
    in_both("tenant-tiers", config, |loaded| {
        assert_eq!(loaded.ask(&under(101), &[("tier", "free")]), refused(1, 7));
        assert_eq!(loaded.ask(&under(201), &[]), refused(2, 7));
        assert_eq!(loaded.ask(&under(201), &[("x", "y"), ("tier", "free")]), refused(1, 7));
        let name = loaded.host.figures().expect("figures")[0].name.clone();
        let counters = loaded.host.figures_of(&name).expect("loaded").counters;
        assert_eq!(counters, [("refused_free".to_string(), 2), ("refused_standard".to_string(), 1)]);
    });
}

#[test]
fn a_bad_configuration_is_refused_with_its_reason() {
    let cases = [
        ("tenant-tiers", r#"{"free_above": 900, "standard_above": 100}"#, "free_above <= standard_above"),
        ("tenant-tiers", r#"{"free_above": -1}"#, "0 <= free_above"),
        ("tenant-tiers", r#"{"retry_after_ms": 3600001}"#, "retry_after_ms is 0 to 3600000"),
        ("kill-switch", r#"{"share": 1001}"#, "share is 0 to 1000"),
        ("kill-switch", r#"{"value": "eu"}"#, "value needs an attribute"),
        ("kill-switch", r#"{"attribute": ""}"#, "attribute has 1 to 128 bytes"),
    ];
    for (example, config, why) in cases {
        for language in ["c", "rust"] {
            let options = Options { config: config.into(), ..Options::default() };
            let refused = Host::new().check(&wasm(&format!("{example}-{language}")), &options);
            let message = refused.expect_err(config).to_string();
            assert!(message.contains(why), "{example}-{language}: {message}");
        }
    }
}

#[test]
fn a_kill_switch_refuses_everything_unless_told_otherwise() {
    in_both("kill-switch", "{}", |loaded| {
        assert_eq!(loaded.ask(&record(0), &[]), refused(1, 0));
        assert_eq!(loaded.ask(&Record { criticality: 1, ..record(5) }, &[]), refused(1, 0));
    });
    in_both("kill-switch", r#"{"spare_critical": 1, "retry_after_ms": 50}"#, |loaded| {
        assert_eq!(loaded.ask(&record(5), &[]), refused(1, 50));
        assert_eq!(loaded.ask(&Record { criticality: 1, ..record(5) }, &[]), PASSED);
    });
}

#[test]
fn a_kill_switch_takes_a_share_of_the_keys_the_same_in_both_languages() {
    let keys = 1..=10_000u64;
    let mut shares = Vec::new();
    in_both("kill-switch", r#"{"share": 250}"#, |loaded| {
        let killed = |key: &u64| loaded.ask(&record(*key), &[]) == refused(1, 0);
        let share: Vec<_> = keys.clone().filter(killed).collect();
        assert!((2_300..2_700).contains(&share.len()), "{} of 10000", share.len());
        assert_eq!(share, keys.clone().filter(killed).collect::<Vec<_>>(), "a key is in it or not");
    });
    for language in ["c", "rust"] {
        let loaded = Loaded::new(&format!("kill-switch-{language}"), r#"{"share": 250}"#);
        shares.push(keys.clone().filter(|key| loaded.ask(&record(*key), &[]) != PASSED).collect::<Vec<_>>());
    }
    assert_eq!(shares[0], shares[1]);
}

#[test]
fn a_kill_switch_aims_by_attribute() {
    in_both("kill-switch", r#"{"attribute": "region", "value": "eu"}"#, |loaded| {
        assert_eq!(loaded.ask(&record(1), &[("region", "eu")]), refused(1, 0));
        assert_eq!(loaded.ask(&record(1), &[("region", "us")]), PASSED);
        assert_eq!(loaded.ask(&record(1), &[("other", "eu")]), PASSED);
        assert_eq!(loaded.ask(&record(1), &[]), PASSED);
    });
    in_both("kill-switch", r#"{"attribute": "region"}"#, |loaded| {
        assert_eq!(loaded.ask(&record(1), &[("region", "")]), refused(1, 0));
        assert_eq!(loaded.ask(&record(1), &[]), PASSED);
    });
}

#[test]
fn the_hash_looks_at_every_byte() {
    let loaded = Loaded::new("hash-c", "");
    let fnv = |record: &Record| {
        // SAFETY: a record is 64 bytes without padding.
        let words = unsafe { &*std::ptr::from_ref(record).cast::<[u64; 8]>() };
        let step = |hash: u64, word: &u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3);
        (words.iter().fold(0xcbf2_9ce4_8422_2325, step) >> 48) as u16
    };
    for n in 0..100u32 {
        let asked = Record { guard: n, pressure: n * 7, cost: n * n, ..record(u64::from(n) << 50) };
        assert_eq!(loaded.ask(&asked, &[]).reason, fnv(&asked));
    }
}
