//! Names of instruments and labels, and the text that identifies a series: `name{a="b",c="d"}`, labels sorted,
//! values escaped, just as it is exposed.

use crate::error::{Error, ErrorKind, Result};

/// The most labels of one series.
pub const MAX_LABELS: usize = 32;
/// The longest name, in bytes.
pub const MAX_NAME: usize = 128;
/// The longest label value, help or unit, in bytes.
pub const MAX_TEXT: usize = 1024;

/// Checks a metric's name: `[a-zA-Z_:][a-zA-Z0-9_:]*`, not one of the runtime's own.
pub fn check_metric(name: &str) -> Result<()> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    let plain = name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b':');
    if name.len() > MAX_NAME || !starts || !plain {
        return Err(invalid(format!(
            "metric name {}: at most 128 of [a-zA-Z0-9_:], not starting with a digit",
            quote(name)
        )));
    }
    if name.starts_with("tidegate_") {
        return Err(invalid(format!("metric name {}: the prefix tidegate_ is the runtime's own", quote(name))));
    }
    Ok(())
}

/// Checks a help text or unit.
pub fn check_text(what: &str, text: &str) -> Result<()> {
    if text.len() > MAX_TEXT {
        return Err(invalid(format!("{what}: {} bytes, at most {MAX_TEXT}", text.len())));
    }
    Ok(())
}

/// The label part of a series, `a="b",c="d"`, sorted by name.
pub fn label_text(labels: &[(&str, &str)]) -> Result<String> {
    if labels.len() > MAX_LABELS {
        return Err(invalid(format!("{} labels, at most {MAX_LABELS}", labels.len())));
    }
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(invalid(format!("label {} is given twice", quote(twice[0].0))));
    }
    let mut text = String::new();
    for (name, value) in sorted {
        check_label(name, value)?;
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape(value, &mut text);
        text.push('"');
    }
    Ok(text)
}

fn check_label(name: &str, value: &str) -> Result<()> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    if name.len() > MAX_NAME || !starts || !plain || name.starts_with("__") || matches!(name, "le" | "quantile") {
        return Err(invalid(format!(
            "label name {}: at most 128 of [a-zA-Z0-9_], not starting with a digit or __, not le or quantile",
            quote(name)
        )));
    }
    check_text(&format!("value of label {name}"), value)
}

/// Escapes a label value as both text formats do.
pub fn escape(value: &str, into: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}

fn quote(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("{short:?}")
}

fn invalid(what: String) -> Error {
    Error::new(ErrorKind::Invalid, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_and_escapes_labels() {
        let text = label_text(&[("b", "x\"y\\z\n"), ("a", "1")]).unwrap();
        assert_eq!(text, r#"a="1",b="x\"y\\z\n""#);
    }

    #[test]
    fn refuses_bad_names() {
        for bad in ["", "1a", "a-b", "a b", "tidegate_x", &"a".repeat(129)] {
            assert!(check_metric(bad).is_err(), "{bad}");
        }
        for bad in ["", "__a", "le", "a:b", "1"] {
            assert!(label_text(&[(bad, "v")]).is_err(), "{bad}");
        }
        assert!(label_text(&[("a", "1"), ("a", "2")]).is_err());
        assert!(check_metric("ns:http_requests_total").is_ok());
    }
}
