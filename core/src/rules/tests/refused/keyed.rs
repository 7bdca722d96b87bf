use super::{each, one_in_guard, rate};

fn keyed(fields: &str) -> String {
    rate(&format!(r#""limit": 1, "key": "tenant", {fields}"#))
}

#[test]
fn only_a_token_bucket_that_lets_nobody_wait_has_keys() {
    for algorithm in ["pacing", "fixed_window", "sliding_window", "sliding_counter", "warm_up"] {
        let body = rate(&format!(r#""limit": 1, "key": "tenant", "algorithm": "{algorithm}""#));
        one_in_guard(&body, ".rate[0].key", "expected it of token_bucket only");
    }
    one_in_guard(&keyed(r#""max_wait": "1s""#), ".rate[0].key", "lets nobody wait");
}

#[test]
fn without_a_key_there_is_nothing_of_it() {
    for (field, value) in
        [("keys", "64"), ("on_full", r#""allow""#), ("overrides", "{}"), ("allow", r#"["a"]"#), ("deny", r#"["a"]"#)]
    {
        let body = rate(&format!(r#""limit": 1, "{field}": {value}"#));
        one_in_guard(&body, &format!(".rate[0].{field}"), "expected it beside \"key\" only");
    }
    one_in_guard(&rate(r#""limit": 1, "hottest": 16"#), ".rate[0].hottest", "beside \"key\" only");
}

#[test]
fn values_of_keyed_limits_have_ranges() {
    let field = |name: &'static str| move |v: &str| keyed(&format!(r#""{name}": {v}"#));
    each(&["63", "16777217", "1.5", "null"], field("keys"), ".rate[0].keys", "from 64 to 16777216, got");
    each(&["1", "7"], field("hottest"), ".rate[0].hottest", "expected 0 or a number from 8 to 64");
    each(&["65", "-1"], field("hottest"), ".rate[0].hottest", "from 0 to 64");
    each(&[r#""drop""#, "1"], field("on_full"), ".rate[0].on_full", r#""shared" or "refuse" or "allow""#);
    each(&["[]", r#""a""#], field("deny"), ".rate[0].deny", "a list of 1 to 64 items");
    each(&[r#"[""]"#], field("allow"), ".rate[0].allow[0]", "1 to 256 bytes");
    let key = |v: &str| rate(&format!(r#""limit": 1, "key": {v}"#));
    each(&[r#""""#, "1", r#""a\u0007""#], key, ".rate[0].key", "expected a string of 1 to 128 bytes");
}

#[test]
fn overrides_are_limits_too() {
    let of = |v: &str| keyed(&format!(r#""overrides": {{"gold": {v}}}"#));
    one_in_guard(&of("{}"), ".rate[0].overrides.gold.limit", "missing");
    one_in_guard(&of(r#"{"limit": 0}"#), ".rate[0].overrides.gold.limit", "above 0");
    one_in_guard(&of(r#"{"limit": 1, "mode": "off"}"#), ".rate[0].overrides.gold.mode", "unknown field");
    one_in_guard(&of(r#"{"limit": 1e10, "per": "1us"}"#), ".rate[0].overrides.gold.limit", "10^10 units a second");
    let slow = rate(r#""limit": 1, "per": "744h", "key": "k", "overrides": {"gold": {"limit": 0.01}}"#);
    one_in_guard(&slow, ".rate[0].overrides", "one unit in 365 days");
    one_in_guard(&keyed(r#""overrides": {"": {"limit": 1}}"#), r#".rate[0].overrides[""]"#, "1 to 256 bytes");
}

#[test]
fn a_key_is_special_once_and_few_are() {
    let twice = "stands in more than one place";
    one_in_guard(&keyed(r#""allow": ["a", "b", "a"]"#), ".rate[0].allow", twice);
    one_in_guard(&keyed(r#""allow": ["a"], "deny": ["a"]"#), ".rate[0].deny", twice);
    one_in_guard(&keyed(r#""deny": ["a"], "overrides": {"a": {"limit": 1}}"#), ".rate[0].deny", twice);
    let list = |from: u32, count: u32| (from..from + count).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",");
    let body = keyed(&format!(r#""allow": [{}], "deny": [{}]"#, list(0, 60), list(100, 5)));
    one_in_guard(&body, ".rate[0].deny", "65 keys are special");
    let overrides: Vec<String> = (0..65).map(|n| format!("\"{n}\": {{\"limit\": 1}}")).collect();
    let body = keyed(&format!(r#""overrides": {{{}}}"#, overrides.join(",")));
    one_in_guard(&body, ".rate[0].overrides", "an object of at most 64 keys, got 65");
}
