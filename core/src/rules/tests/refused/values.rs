use super::{breaker, each, one_in_guard, rate};

const ABSURD: [&str; 12] =
    ["0", "-1", "1e999", "-1e999", "1e308", "99999999999999999999", "null", "true", "\"5\"", "[]", "{}", "\"NaN\""];

#[test]
fn counts_have_to_be_whole_and_in_range() {
    let to = |field: &'static str| move |v: &str| breaker(&format!(r#""{field}": {v}"#));
    each(&ABSURD, to("min_calls"), ".breaker.min_calls", "expected a whole number from 1 to 1000000, got");
    each(&ABSURD, to("probes"), ".breaker.probes", "from 1 to 255, got");
    each(&["1.5", "256", "1e3"], to("probes"), ".breaker.probes", "from 1 to 255, got the number");
    let failures = |v: &str| format!(r#"{{"breaker": {{"consecutive_failures": {v}}}}}"#);
    each(&ABSURD, failures, ".breaker.consecutive_failures", "from 1 to 1000000");
    each(&["1000001"], failures, ".breaker.consecutive_failures", "got the number 1000001");
    let max = |v: &str| format!(r#"{{"concurrency": {{"max": {v}}}}}"#);
    each(&ABSURD, max, ".concurrency.max", "from 1 to 16000000");
    each(&["16000001", "0.5"], max, ".concurrency.max", "from 1 to 16000000");
    let burst = |v: &str| rate(&format!(r#""limit": 1, "burst": {v}"#));
    each(&ABSURD, burst, ".rate[0].burst", "from 1 to 1000000000000, got");
    each(&["1000000000001"], burst, ".rate[0].burst", "got the number 1000000000001");
}

#[test]
fn decimals_have_to_be_above_zero_and_in_range() {
    let ratio = |v: &str| format!(r#"{{"breaker": {{"error_ratio": {v}}}}}"#);
    each(&ABSURD, ratio, ".breaker.error_ratio", "expected a number above 0 and at most 1, got");
    each(&["1.0001", "-0", "1e-999"], ratio, ".breaker.error_ratio", "got the number");
    let limit = |v: &str| rate(&format!(r#""limit": {v}"#));
    each(&ABSURD, limit, ".rate[0].limit", "expected a number above 0 and at most 10000000000, got");
    each(&["10000000001"], limit, ".rate[0].limit", "at most 10000000000");
}

#[test]
fn flows_have_to_be_sane_as_a_whole() {
    one_in_guard(&rate(r#""limit": 1e10, "per": "1us""#), ".rate[0].limit", "10^10 units a second");
    one_in_guard(&rate(r#""limit": 0.01, "per": "744h""#), ".rate[0].limit", "one unit in 365 days");
    one_in_guard(&rate(r#""limit": 1e-320"#), ".rate[0].limit", "one unit in 365 days");
}

#[test]
fn durations_are_strings_with_a_unit() {
    let timeout = |v: &str| format!(r#"{{"timeout": {v}}}"#);
    let want = "expected a duration from 1us to 24h, got";
    each(&ABSURD, timeout, ".timeout", want);
    each(&["250", "0.5"], timeout, ".timeout", "write a string with a unit, such as \"250ms\"");
    each(&["\"-1s\""], timeout, ".timeout", "cannot be negative");
    each(&["\"250\""], timeout, ".timeout", "the unit is missing");
    each(&["\"1 s\"", "\"1d\"", "\"1m30s\""], timeout, ".timeout", "one number and one unit");
    each(&["\"99999999999999999999h\""], timeout, ".timeout", "too long");
    each(&["\"0s\"", "\"999ns\"", "\"24.1h\""], timeout, ".timeout", want);
}

#[test]
fn durations_have_ranges() {
    for (field, low, high) in [("window", "99ms", "61m"), ("open_for", "999us", "25h"), ("probe_timeout", "0s", "25h")]
    {
        for value in [low, high] {
            let body = breaker(&format!(r#""{field}": "{value}""#));
            one_in_guard(&body, &format!(".breaker.{field}"), "expected a duration from");
        }
    }
    one_in_guard(r#"{"max_hold": "99ms"}"#, ".max_hold", "from 100ms to 168h");
    one_in_guard(r#"{"max_hold": "169h"}"#, ".max_hold", "from 100ms to 168h");
    one_in_guard(&rate(r#""limit": 1, "per": "999ns""#), ".rate[0].per", "from 1us to 744h");
    one_in_guard(&rate(r#""limit": 1, "per": "745h""#), ".rate[0].per", "from 1us to 744h");
}

#[test]
fn a_breaker_must_not_contradict_itself() {
    let both = breaker(r#""window": "1s", "window_calls": 100"#);
    one_in_guard(&both, ".breaker.window_calls", "stands beside `window`; expected one of the two");
    let small = breaker(r#""window_calls": 10, "min_calls": 11"#);
    one_in_guard(&small, ".breaker.window_calls", "holds 10 calls, and 11 are needed");
    let default = breaker(r#""window_calls": 19"#);
    one_in_guard(&default, ".breaker.window_calls", "holds 19 calls, and 20 are needed");
    let many = breaker(r#""probes": 3, "probes_needed": 4"#);
    one_in_guard(&many, ".breaker.probes_needed", "4 probes have to pass, and only 3 are sent");
    let few = breaker(r#""probes": 200, "probes_needed": 72"#);
    one_in_guard(&few, ".breaker.probes_needed", "128 of 200 probes may fail; expected at most 127");
    for (field, path, message) in [
        (r#""slow": {"over": "1s"}"#, ".breaker.slow.ratio", "missing"),
        (r#""slow": {"ratio": 0.5}"#, ".breaker.slow.over", "missing"),
        (r#""slow": {"over": "1s", "ratio": 0}"#, ".breaker.slow.ratio", "above 0"),
        (r#""slow": {"over": "0s", "ratio": 1}"#, ".breaker.slow.over", "from 1us to 1h"),
        (r#""error_count": 0"#, ".breaker.error_count", "from 1 to 1000000"),
        (r#""window_calls": 10001"#, ".breaker.window_calls", "from 1 to 10000"),
        (r#""recover_over": "25h""#, ".breaker.recover_over", "from 1ms to 24h"),
    ] {
        one_in_guard(&breaker(field), path, message);
    }
}

#[test]
fn a_concurrency_limit_must_not_contradict_itself() {
    let limit = |fields: &str| format!(r#"{{"concurrency": {{{fields}}}}}"#);
    for (fields, field, message) in [
        (r#""max": 5, "min": 1"#, "min", "expected it of aimd, vegas, gradient2 only"),
        (r#""max": 5, "initial": 5"#, "initial", "expected it of aimd, vegas, gradient2 only"),
        (r#""algorithm": "vegas", "target": "1s""#, "target", "expected it of aimd only"),
        (r#""algorithm": "aimd", "target": "0s""#, "target", "from 1us to 1h"),
        (r#""algorithm": "vegas", "min": 9, "max": 8"#, "min", "9 is more than `max`, which is 8"),
        (r#""algorithm": "vegas", "initial": 1001"#, "initial", "1001 is not within 1 and 1000"),
        (r#""algorithm": "vegas", "min": 21, "initial": 20"#, "initial", "20 is not within 21 and 1000"),
        (r#""algorithm": "fixed""#, "max", "missing; expected a whole number"),
        (r#""max": 5, "shed": true"#, "shed", "expected \"criticality\" or \"none\""),
    ] {
        one_in_guard(&limit(fields), &format!(".concurrency.{field}"), message);
    }
}

#[test]
fn protection_of_the_process_needs_a_share() {
    let system = |fields: &str| format!(r#"{{"system": {{{fields}}}}}"#);
    one_in_guard(&system(r#""mode": "off""#), ".system", "at least one of cpu, memory has to be there");
    for field in ["cpu", "memory"] {
        for value in ["0", "1.01", "90", "\"90%\""] {
            let body = system(&format!(r#""{field}": {value}"#));
            one_in_guard(&body, &format!(".system.{field}"), "expected a number above 0 and at most 1");
        }
    }
}

#[test]
fn a_rate_limit_has_only_what_its_algorithm_looks_at() {
    for (algorithm, field, right) in [
        ("pacing", r#""burst": 1"#, "token_bucket only"),
        ("fixed_window", r#""burst": 1"#, "token_bucket only"),
        ("sliding_window", r#""max_wait": "1s""#, "token_bucket, pacing, warm_up only"),
        ("token_bucket", r#""buckets": 10"#, "sliding_window only"),
        ("token_bucket", r#""cold_factor": 3"#, "warm_up only"),
        ("sliding_counter", r#""warm_up": "1s""#, "warm_up only"),
    ] {
        let name = field.split('"').nth(1).unwrap();
        let fields = rate(&format!(r#""algorithm": "{algorithm}", "limit": 1, {field}"#));
        one_in_guard(&fields, &format!(".rate[0].{name}"), &format!("this algorithm has none; expected it of {right}"));
    }
    for algorithm in ["fixed_window", "sliding_window", "sliding_counter"] {
        let fields = rate(&format!(r#""algorithm": "{algorithm}", "limit": 1.5"#));
        one_in_guard(&fields, ".rate[0].limit", "a window counts whole units");
    }
    for (field, path, message) in [
        (r#""algorithm": "warm_up", "cold_factor": 1"#, "cold_factor", "more than 1"),
        (r#""algorithm": "warm_up", "cold_factor": 101"#, "cold_factor", "at most 100"),
        (r#""algorithm": "warm_up", "warm_up": "0s""#, "warm_up", "from 1ms to 1h"),
        (r#""algorithm": "sliding_window", "buckets": 1"#, "buckets", "from 2 to 60"),
        (r#""algorithm": "sliding_window", "buckets": 61"#, "buckets", "from 2 to 60"),
        (r#""max_wait": "61m""#, "max_wait", "from 0ns to 1h"),
    ] {
        one_in_guard(&rate(&format!(r#""limit": 1, {field}"#)), &format!(".rate[0].{path}"), message);
    }
}

#[test]
fn a_follow_needs_a_guard_and_a_line() {
    for (follow, path, message) in [
        (r#"{}"#, ".guard", "missing"),
        (r#"{"guard": ""}"#, ".guard", "1 to 128 bytes"),
        (r#"{"guard": "b", "from": 0.9}"#, ".from", "900 thousandths is not below `to`, 900"),
        (r#"{"guard": "b", "to": 0.2}"#, ".from", "500 thousandths is not below `to`, 200"),
        (r#"{"guard": "b", "floor": 0}"#, ".floor", "above 0"),
        (r#"{"guard": "b", "to": 1.1}"#, ".to", "at most 1"),
    ] {
        let fields = rate(&format!(r#""limit": 1, "follow": {follow}"#));
        one_in_guard(&fields, &format!(".rate[0].follow{path}"), message);
    }
}
