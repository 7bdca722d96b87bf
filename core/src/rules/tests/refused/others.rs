use super::one_in_guard;

/// Each body, where it is wrong, and what is said.
fn all(cases: &[(&str, &str, &str)]) {
    cases.iter().for_each(|(body, path, message)| one_in_guard(body, path, message));
}

#[test]
fn retries_that_contradict_themselves() {
    all(&[
        (r#"{"retry": {"max_attempts": 0}}"#, ".retry.max_attempts", "from 1 to 100"),
        (r#"{"retry": {"retry_on": ["success"]}}"#, ".retry.retry_on[0]", "expected \"failure\""),
        (r#"{"retry": {"retry_on": []}}"#, ".retry.retry_on", "a list of 1 to 3 items"),
        (r#"{"retry": {"backoff": {"max": "1ms"}}}"#, ".retry.backoff.max", "less than `base`"),
        (r#"{"retry": {"backoff": {"base": "0s"}}}"#, ".retry.backoff.base", "nothing to grow"),
        (r#"{"retry": {"backoff": {"factor": 0.5}}}"#, ".retry.backoff.factor", "waits would shrink"),
        (
            r#"{"retry": {"backoff": {"growth": "linear", "factor": 2}}}"#,
            ".retry.backoff.factor",
            "of exponential only",
        ),
        (
            r#"{"retry": {"backoff": {"growth": "decorrelated", "jitter": "full"}}}"#,
            ".retry.backoff.jitter",
            "random by themselves",
        ),
    ]);
}

#[test]
fn budgets_that_contradict_themselves() {
    all(&[
        (r#"{"retry": {"budget": {"quota": {}, "ratio": 0.1}}}"#, ".retry.budget.ratio", "beside `quota`"),
        (
            r#"{"retry": {"budget": {"quota": {"tokens": 10, "cost": 11}}}}"#,
            ".retry.budget.quota.cost",
            "no retry could pay",
        ),
        (
            r#"{"retry": {"budget": {"ratio": 0.0001, "min_per_sec": 0.01}}}"#,
            ".retry.budget.ratio",
            "no retry would ever be paid for",
        ),
        (
            r#"{"retry": {"budget": {"for_critical": 0.8, "for_default": 0.3}}}"#,
            ".retry.budget.for_default",
            "more than `for_critical` leaves",
        ),
    ]);
}

#[test]
fn hedges_deadlines_and_throttles_that_contradict_themselves() {
    all(&[
        (r#"{"hedge": {"max": 1}}"#, ".hedge", "at least one of delay, quantile"),
        (r#"{"hedge": {"delay": "1ms", "quantile": 0.9}}"#, ".hedge.quantile", "beside `delay`"),
        (r#"{"hedge": {"quantile": 0.9, "min": "2s"}}"#, ".hedge.min", "more than `max_delay`"),
        (r#"{"deadline": {"factor": 1}}"#, ".deadline.usual", "missing"),
        (r#"{"deadline": {"usual": 1.5}}"#, ".deadline.usual", "at most 1"),
        (r#"{"throttle": {"k": 0.5}}"#, ".throttle.k", "expected at least 1"),
    ]);
}

#[test]
fn faults_that_contradict_themselves() {
    all(&[
        (r#"{"faults": [{"share": 1}]}"#, ".faults[0]", "at least one of delay, abort"),
        (r#"{"faults": [{"abort": "failure", "delay": "1ms"}]}"#, ".faults[0].delay", "beside `abort`"),
        (r#"{"faults": [{"delay": "2ms", "delay_max": "1ms"}]}"#, ".faults[0].delay_max", "less than `delay`"),
        (r#"{"faults": [{"abort": "success"}]}"#, ".faults[0].abort", "expected \"failure\""),
        (
            r#"{"faults": [{"abort": "failure", "when": {"attribute": "a", "equals": "b", "prefix": "c"}}]}"#,
            ".faults[0].when.prefix",
            "beside `equals`",
        ),
        (r#"{"faults": [{"abort": "failure", "when": {"attribute": "a"}}]}"#, ".faults[0].when", "equals, prefix"),
    ]);
}
