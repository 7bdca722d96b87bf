//! Where in a document we are: rendered only when an error needs it.

use std::fmt;

/// Longest piece of the document's own text that a path or message repeats, in bytes.
const QUOTED_BYTES: usize = super::MAX_GUARD_NAME_BYTES;

/// A JSON path, as a list linked from the leaf to the root.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The document itself.
    Root,
    /// A member of an object.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Path::Root => write!(f, "$"),
            Path::Key(parent, key) if is_identifier(key) => write!(f, "{parent}.{key}"),
            Path::Key(parent, key) => write!(f, "{parent}[{}]", quoted(key)),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn is_identifier(key: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    key.len() <= QUOTED_BYTES
        && key.bytes().all(word)
        && !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
}

/// The text as a JSON string, cut when long.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(clipped(text)).to_string()
}

/// The text, cut when long.
pub(super) fn clipped(text: &str) -> String {
    match text.len() <= QUOTED_BYTES {
        true => text.to_string(),
        false => format!("{}…", &text[..text.floor_char_boundary(QUOTED_BYTES)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> String {
        Path::Index(&Path::Key(&Path::Root, name), 3).to_string()
    }

    #[test]
    fn plain_names_use_dots_and_others_brackets() {
        assert_eq!(key("a_1"), "$.a_1[3]");
        assert_eq!(key("payments.charge"), r#"$["payments.charge"][3]"#);
        assert_eq!(key("1a"), r#"$["1a"][3]"#);
        assert_eq!(key(""), r#"$[""][3]"#);
        assert_eq!(key("q\"\n"), r#"$["q\"\n"][3]"#);
        assert_eq!(key("ü"), r#"$["ü"][3]"#);
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(key(&"ü".repeat(65)), format!("$[\"{}…\"][3]", "ü".repeat(64)));
        assert_eq!(key(&"a".repeat(9000)).len(), "$[\"…\"][3]".len() + 128);
    }
}
