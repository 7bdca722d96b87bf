use super::super::refuse;
use super::{breaker, one, one_in_guard, rate};

#[test]
fn words_have_to_be_known() {
    let modes = "expected \"enforce\" or \"shadow\" or \"off\", got";
    for mode in ["\"on\"", "\"\"", "false", "null", "\"Shadow\""] {
        let field = format!(r#""mode": {mode}"#);
        one_in_guard(&breaker(&field), ".breaker.mode", modes);
        one_in_guard(&rate(&format!(r#""limit": 1, {field}"#)), ".rate[0].mode", modes);
        one_in_guard(&format!(r#"{{"concurrency": {{"max": 1, {field}}}}}"#), ".concurrency.mode", modes);
        one_in_guard(&format!(r#"{{"policy": {{"name": "p", {field}}}}}"#), ".policy.mode", modes);
    }
    let on_fail = r#"{"policy": {"name": "p", "on_fail": "open"}}"#;
    one_in_guard(on_fail, ".policy.on_fail", "expected \"allow\" or \"deny\", got \"open\"");
}

#[test]
fn algorithms_are_words_of_a_list() {
    let unknown = r#"{"concurrency": {"algorithm": "magic", "max": 9}}"#;
    let message = "expected \"fixed\" or \"aimd\" or \"vegas\" or \"gradient2\", got \"magic\"";
    one_in_guard(unknown, ".concurrency.algorithm", message);
}

#[test]
fn unknown_fields_come_with_the_nearest_known_one() {
    one_in_guard(&breaker(r#""windw": "1s""#), ".breaker.windw", "did you mean \"window\"?");
    one_in_guard(r#"{"time-out": "1s"}"#, r#"["time-out"]"#, "did you mean \"timeout\"?");
    one_in_guard(r#"{"colour": 1}"#, ".colour", "unknown field; known are deadline, faults, breaker,");
    one(r#"{"version": 1, "guard": {}}"#, "$.guard", "did you mean \"guards\"?");
    one(r#"{"version": 1, "X-a": {}}"#, r#"$["X-a"]"#, "unknown field");
}

#[test]
fn repeated_names_are_errors_except_in_ignored_fields() {
    let again = "more than once";
    one(r#"{"version": 1, "version": 2, "x-a": {"b": 1, "b": 2}, "x-a": 3}"#, "$.version", again);
    one(r#"{"version": 1, "guards": {"a": {}, "a": {}}}"#, "$.guards.a", again);
    one_in_guard(r#"{"timeout": "1s", "timeout": "1s"}"#, ".timeout", again);
    one_in_guard(&rate(r#""limit": 1, "\u006cimit": 2"#), ".rate[0].limit", again);
}

#[test]
fn names_are_bounded() {
    let want = "guard name to be a string of 1 to 128 bytes without control characters";
    let named = |name: &str| format!(r#"{{"version": 1, "guards": {{"{name}": {{}}}}}}"#);
    one(&named(""), r#"$.guards[""]"#, want);
    one(&named("a\\u0000"), r#"$.guards["a\u0000"]"#, want);
    let long = "a".repeat(129);
    one(&named(&long), &format!("$.guards[\"{}…\"]", &long[..128]), "got one of 129 bytes");
    assert!(refuse(&named(&"a".repeat(1 << 20))).to_json().len() < 1000);
    for name in ["", "a\\n", &"p".repeat(65)] {
        let policy = format!(r#"{{"policy": {{"name": "{name}"}}}}"#);
        one_in_guard(&policy, ".policy.name", "expected a string of 1 to 64 bytes");
    }
}

#[test]
fn what_is_required_has_to_be_had() {
    let json = r#"{"version": 1, "requires": ["breaker", "gradient2"]}"#;
    one(json, "$.requires[1]", "does not have the feature \"gradient2\"; it has adaptive_concurrency,");
    one(r#"{"version": 1, "requires": [1]}"#, "$.requires[0]", "the name of a feature");
    one(r#"{"version": 1, "requires": "breaker"}"#, "$.requires", "expected a list");
}
