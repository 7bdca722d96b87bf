//! The tree of a document, with what `serde_json::Value` would lose: repeated
//! keys, and numbers as they were written.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules::path::{clipped, quoted};
use serde_json::Value;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object.
    Object(Members),
}

/// The members of an object, without those whose names start with `x-`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::rules) struct Members {
    /// By name; of a repeated one the last.
    pub fields: BTreeMap<String, Node>,
    /// Names that stood there more than once.
    pub repeated: BTreeSet<String>,
}

impl Members {
    /// Adds a member; drops it when it is an `x-` field, which are for others.
    pub(super) fn insert(&mut self, name: String, node: Node) {
        if name.starts_with("x-") {
            return;
        }
        if self.fields.insert(name.clone(), node).is_some() {
            self.repeated.insert(name);
        }
    }
}

impl Node {
    /// What this is, for messages: `"abc"`, `the number 7`, `a list`.
    pub(in crate::rules) fn words(&self) -> String {
        match self {
            Node::Null => String::from("null"),
            Node::Bool(value) => value.to_string(),
            Node::Number(text) => format!("the number {}", clipped(text)),
            Node::Text(text) => quoted(text),
            Node::List(_) => String::from("a list"),
            Node::Object(_) => String::from("an object"),
        }
    }

    /// The same as a value to be written out: keys sorted, one spelling a number.
    pub(in crate::rules) fn to_value(&self) -> Value {
        match self {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::from(*value),
            Node::Number(text) => number(text),
            Node::Text(text) => Value::from(text.as_str()),
            Node::List(items) => items.iter().map(Node::to_value).collect(),
            Node::Object(members) => members.to_value(),
        }
    }
}

impl Members {
    fn to_value(&self) -> Value {
        let pairs = self.fields.iter();
        Value::Object(pairs.map(|(k, v)| (k.clone(), v.to_value())).collect())
    }
}

/// Integers exactly, however they are written; anything else as the nearest double.
fn number(text: &str) -> Value {
    let negative = || i64::try_from(whole(text.strip_prefix('-')?)?).ok();
    let integer = whole(text).map(Value::from).or_else(|| negative().map(|n| Value::from(-n)));
    let double = || text.parse::<f64>().ok().map(Value::from);
    integer.or_else(double).unwrap_or(Value::Null)
}

/// The number as an integer, also when it is written `1e3` or `20.0`.
pub(in crate::rules) fn whole(text: &str) -> Option<u64> {
    const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    let double = || text.parse::<f64>().ok();
    let integral = || double().filter(|x| x.fract() == 0.0 && (0.0..=EXACT).contains(x));
    text.parse().ok().or_else(|| integral().map(|x| x as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_exactly_however_they_are_written() {
        assert_eq!(whole("18446744073709551615"), Some(u64::MAX));
        assert_eq!(whole("9007199254740993"), Some(9_007_199_254_740_993));
        assert_eq!([whole("1e3"), whole("20.0"), whole("-0")], [Some(1000), Some(20), Some(0)]);
        for bad in ["18446744073709551616", "1.5", "-1", "1e999", "1e-999999", ""] {
            assert!(matches!(whole(bad), None | Some(0)), "{bad}");
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        let spell = |text: &str| Node::Number(text.into()).to_value().to_string();
        assert_eq!([spell("0.50"), spell("5e-1")], ["0.5", "0.5"]);
        assert_eq!([spell("1e3"), spell("1000.0"), spell("1000")], ["1000"; 3]);
        assert_eq!([spell("-3"), spell("-3.0"), spell("-0.0")], ["-3", "-3", "0"]);
        assert_eq!(spell("18446744073709551615"), "18446744073709551615");
    }

    #[test]
    fn members_keep_repeats_and_drop_x_fields() {
        let mut members = Members::default();
        for name in ["a", "x-a", "b", "a", "x-a", "a"] {
            members.insert(name.into(), Node::Null);
        }
        assert_eq!(Vec::from_iter(members.fields.keys()), ["a", "b"]);
        assert_eq!(Vec::from_iter(&members.repeated), ["a"]);
    }
}
