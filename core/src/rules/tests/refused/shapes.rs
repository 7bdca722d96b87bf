use super::{one, one_in_guard};

#[test]
fn a_rate_is_a_list() {
    let want = "expected a list of 1 to 4 items, got";
    one_in_guard(r#"{"rate": {"limit": 1}}"#, ".rate", "got an object: put it in a list: [{...}]");
    one_in_guard(r#"{"rate": []}"#, ".rate", want);
    let five = [r#"{"limit": 1}"#; 5].join(",");
    one_in_guard(&format!(r#"{{"rate": [{five}]}}"#), ".rate", "it has 5 items");
    for value in ["null", "3", "\"100/s\""] {
        one_in_guard(&format!(r#"{{"rate": {value}}}"#), ".rate", want);
    }
    one_in_guard(r#"{"rate": [{"limit": 1}, 7]}"#, ".rate[1]", "expected an object, got the number 7");
}

#[test]
fn what_a_stage_needs_has_to_be_there() {
    one_in_guard(
        r#"{"breaker": {}}"#,
        ".breaker",
        "at least one of error_ratio, error_count, slow, consecutive_failures",
    );
    one_in_guard(r#"{"breaker": {"mode": "off"}}"#, ".breaker", "at least one of");
    one_in_guard(r#"{"policy": {}}"#, ".policy.name", "missing; expected a string of 1 to 64 bytes");
    one_in_guard(r#"{"concurrency": {}}"#, ".concurrency.max", "missing; expected a whole number");
    one_in_guard(r#"{"rate": [{}]}"#, ".rate[0].limit", "missing; expected a number above 0");
}

#[test]
fn objects_have_to_be_objects() {
    for value in ["null", "true", "7", "\"x\"", "[]"] {
        for field in ["breaker", "policy", "concurrency"] {
            let body = format!(r#"{{"{field}": {value}}}"#);
            one_in_guard(&body, &format!(".{field}"), "expected an object, got");
        }
        one_in_guard(value, "", "expected an object, got");
        one(&format!(r#"{{"version": 1, "guards": {value}}}"#), "$.guards", "expected an object");
        one(&format!(r#"{{"version": 1, "defaults": {value}}}"#), "$.defaults", "expected an object");
        one(value, "$", "expected an object, got");
    }
}

#[test]
fn versions_have_to_be_there_and_known() {
    one("{}", "$.version", "missing; expected a whole number from 1 to 2^64 - 1");
    for bad in ["0", "-1", "1.5", "\"1\"", "null", "1e999", "18446744073709551616"] {
        one(&format!(r#"{{"version": {bad}}}"#), "$.version", "expected a whole number");
    }
    for bad in ["0", "2", "\"1\"", "null"] {
        one(&format!(r#"{{"version": 1, "schema": {bad}}}"#), "$.schema", "expected the number 1, got");
    }
}

#[test]
fn guards_are_bounded() {
    let names = (0..4097).map(|i| format!(r#""g{i}":{{}}"#));
    let all = Vec::from_iter(names).join(",");
    let json = format!(r#"{{"version":1,"guards":{{{all}}}}}"#);
    one(&json, "$.guards", "at most 4096 guards, got 4097");
}
