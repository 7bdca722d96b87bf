use super::FULL;
use crate::rules::{MAX_PROBLEMS, parse};
use proptest::prelude::*;

/// Whatever comes out, it is consistent; nothing panics.
fn check(json: &[u8]) {
    match parse(json) {
        Ok(rules) => {
            let again = parse(rules.canonical.as_bytes());
            assert_eq!(again.as_ref(), Ok(&rules));
        }
        Err(report) => {
            assert!((1..=MAX_PROBLEMS).contains(&report.errors.len()));
            assert!(report.summary(495).len() <= 495);
            assert!(serde_json::from_str::<serde_json::Value>(&report.to_json()).is_ok());
        }
    }
}

/// A document with some of its bytes replaced, removed or doubled.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    proptest::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut json = FULL.as_bytes().to_vec();
        for (index, byte, kind) in edits {
            let at = index.index(json.len());
            match kind {
                0 => json[at] = byte,
                1 => drop(json.remove(at)),
                2 => json.insert(at, json[at]),
                _ => json[at] = b"0123456789-+.eE\"{}[],:\\x"[byte as usize % 24],
            }
        }
        json
    })
}

/// A document in which one value is another of its values, or an odd one.
fn transplanted() -> impl Strategy<Value = String> {
    const VALUES: [&str; 14] = [
        "1",
        "7",
        "0.5",
        "-3",
        "1e400",
        "\"1s\"",
        "\"off\"",
        "null",
        "[]",
        "{}",
        "[{\"limit\":1}]",
        "{\"max\":2}",
        "\"breaker\"",
        "{\"error_ratio\":0.2}",
    ];
    const NAMES: [&str; 14] = [
        "version",
        "schema",
        "requires",
        "defaults",
        "guards",
        "a",
        "breaker",
        "rate",
        "timeout",
        "concurrency",
        "max",
        "limit",
        "mode",
        "x-y",
    ];
    let leaf = prop::sample::select(&VALUES).prop_map(String::from);
    let node = leaf.prop_recursive(4, 32, 5, |inner| {
        let member = (prop::sample::select(&NAMES), inner.clone());
        let members = proptest::collection::vec(member, 0..5).prop_map(|members| {
            let texts = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}"));
            format!("{{{}}}", Vec::from_iter(texts).join(","))
        });
        prop_oneof![members, inner.prop_map(|item| format!("[{item}]"))]
    });
    (node.clone(), node).prop_map(|(d, g)| format!(r#"{{"version":3,"defaults":{d},"guards":{{"a":{g}}}}}"#))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes(json: Vec<u8>) {
        check(&json);
    }

    #[test]
    fn any_text_of_json_characters(json in "[-0-9.eE\"{}\\[\\],:\\\\ntruefals ]{0,200}") {
        check(json.as_bytes());
    }

    #[test]
    fn a_mutated_document(json in mutated()) {
        check(&json);
    }

    #[test]
    fn known_names_in_wrong_places(json in transplanted()) {
        check(json.as_bytes());
    }
}
