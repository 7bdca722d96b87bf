//! What is wrong with a document: every error at once.

use std::fmt;

use super::path::Path;
use serde_json::{Value, json};

/// The most errors that a report spells out; the rest are counted.
pub const MAX_PROBLEMS: usize = 64;

/// One error in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON path such as `$.guards["payments.charge"].rate[0].limit`.
    pub path: String,
    /// What was wrong, and what would be right.
    pub message: String,
}

/// Every error of a document, up to [`MAX_PROBLEMS`], and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The errors spelled out. Never empty in a report from [`parse`](super::parse).
    pub errors: Vec<Problem>,
    /// How many more were found.
    pub omitted: usize,
}

impl Report {
    /// Errors in all, spelled out or not.
    pub fn count(&self) -> usize {
        self.errors.len() + self.omitted
    }

    /// `{"errors":[{"message":..,"path":..}],"ok":false}`, with `"more":N` beside
    /// it when N errors were left out.
    pub fn to_json(&self) -> String {
        let errors: Vec<Value> = self.errors.iter().map(Problem::to_value).collect();
        let mut report = json!({ "ok": false, "errors": errors });
        if self.omitted > 0 {
            report["more"] = json!(self.omitted);
        }
        report.to_string()
    }

    /// One line, such as `2 errors: $.a: ...; $.b: ...`, in at most `max_bytes`
    /// bytes of UTF-8; it ends in `…` when it was cut.
    pub fn summary(&self, max_bytes: usize) -> String {
        let mut line = self.to_string();
        if line.len() > max_bytes {
            let room = max_bytes.saturating_sub("…".len());
            line.truncate(line.floor_char_boundary(room));
            line.push_str(if max_bytes < "…".len() { "" } else { "…" });
        }
        line
    }

    /// Notes an error; the message is only made when there is room for it, so
    /// that a document of nothing but errors costs no more than it must.
    pub(super) fn add(&mut self, path: &Path<'_>, message: impl FnOnce() -> String) {
        if self.errors.len() == MAX_PROBLEMS {
            self.omitted += 1;
            return;
        }
        self.errors.push(Problem { path: path.to_string(), message: message() });
    }
}

impl Problem {
    fn to_value(&self) -> Value {
        json!({ "path": self.path, "message": self.message })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.count() == 1 { "" } else { "s" };
        write!(f, "{} error{plural}", self.count())?;
        for (i, problem) in self.errors.iter().enumerate() {
            let mark = if i == 0 { ": " } else { "; " };
            write!(f, "{mark}{}: {}", problem.path, problem.message)?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(n: usize) -> Report {
        let mut report = Report::default();
        for i in 0..n {
            report.add(&Path::Key(&Path::Root, &format!("f{i}")), || "wröng".into());
        }
        report
    }

    #[test]
    fn spells_out_errors_and_counts_the_rest() {
        assert_eq!(report(1).to_string(), "1 error: $.f0: wröng");
        assert_eq!(report(2).to_string(), "2 errors: $.f0: wröng; $.f1: wröng");
        let many = report(MAX_PROBLEMS + 3);
        assert_eq!((many.errors.len(), many.count()), (64, 67));
        assert!(many.to_string().starts_with("67 errors: "));
        assert!(many.to_string().ends_with("; and 3 more"));
    }

    #[test]
    fn a_summary_fits_and_stays_utf8() {
        let whole = report(3).to_string();
        assert_eq!(report(3).summary(whole.len()), whole);
        for max in 0..whole.len() {
            let cut = report(3).summary(max);
            assert!(cut.len() <= max, "{max}: {cut}");
            assert!(max < 3 || cut.ends_with('…'), "{max}: {cut}");
        }
    }

    #[test]
    fn json_has_the_promised_shape() {
        let one: Value = serde_json::from_str(&report(1).to_json()).unwrap();
        let error = json!({ "path": "$.f0", "message": "wröng" });
        assert_eq!(one, json!({ "ok": false, "errors": [error] }));
        let many: Value = serde_json::from_str(&report(70).to_json()).unwrap();
        assert_eq!(many["more"], 6);
    }
}
