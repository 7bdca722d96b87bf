//! Bad documents, each with the error it has to give.

mod keyed;
mod others;
mod shapes;
mod values;
mod whole;
mod words;

use super::{guard, refuse};

/// Asserts that the document has exactly this error: its path, and a piece of its message.
#[track_caller]
fn one(json: &str, path: &str, message: &str) {
    let report = refuse(json);
    assert_eq!(report.count(), 1, "{report}");
    let problem = &report.errors[0];
    assert_eq!(problem.path, path, "{report}");
    assert!(problem.message.contains(message), "{report}");
}

#[track_caller]
fn one_in_guard(body: &str, path: &str, message: &str) {
    one(&guard(body), &format!("$.guards.a{path}"), message);
}

fn breaker(field: &str) -> String {
    format!(r#"{{"breaker": {{"consecutive_failures": 5, {field}}}}}"#)
}

fn rate(fields: &str) -> String {
    format!(r#"{{"rate": [{{{fields}}}]}}"#)
}

/// Each value in turn is not what the field of `a` expects.
#[track_caller]
fn each(values: &[&str], body: impl Fn(&str) -> String, path: &str, message: &str) {
    for value in values {
        one_in_guard(&body(value), path, message);
    }
}
