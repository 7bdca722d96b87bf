//! Bytes to a tree, before anything is known about what it should hold.

mod node;
mod numbers;

pub(super) use node::{Members, Node, whole};

use super::path::Path;
use super::{MAX_DOCUMENT_BYTES, Report};
use numbers::Numbers;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Reads any JSON document into a tree; what is wrong with its syntax is reported at `$`.
pub(super) fn read(json: &[u8], report: &mut Report) -> Option<Node> {
    match tree(json) {
        Ok(node) => Some(node),
        Err(message) => {
            report.add(&Path::Root, || message);
            None
        }
    }
}

fn tree(json: &[u8]) -> Result<Node, String> {
    if json.len() > MAX_DOCUMENT_BYTES {
        let (got, most) = (json.len(), MAX_DOCUMENT_BYTES);
        return Err(format!("the document is {got} bytes long; at most {most} bytes (4 MiB) are read"));
    }
    let text =
        std::str::from_utf8(json).map_err(|e| format!("not UTF-8 text: bad byte at offset {}", e.valid_up_to()))?;
    parse(text).map_err(|e| format!("not valid JSON: {e}"))
}

fn parse(text: &str) -> Result<Node, serde_json::Error> {
    let tame = numbers::tame(text);
    let mut json = serde_json::Deserializer::from_str(&tame);
    let mut builder = Builder { numbers: Numbers::of(text) };
    let node = builder.deserialize(&mut json)?;
    json.end().map(|()| node)
}

/// Builds the tree from what serde_json finds, taking each number's own text.
struct Builder<'t> {
    numbers: Numbers<'t>,
}

impl Builder<'_> {
    fn number(&mut self) -> Node {
        Node::Number(self.numbers.next().unwrap_or_default().to_string())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Builder<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Builder<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(self.number())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(self.number())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(self.number())
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(&mut *self)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Members::default();
        while let Some(key) = map.next_key::<String>()? {
            members.insert(key, map.next_value_seed(&mut *self)?);
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn refusal(json: &[u8]) -> String {
        let mut report = Report::default();
        assert!(read(json, &mut report).is_none());
        assert_eq!((report.count(), report.errors[0].path.as_str()), (1, "$"));
        report.errors[0].message.clone()
    }

    #[test]
    fn syntax_errors_say_line_and_column() {
        assert_eq!(refusal(b"{\n  \"a\": tru,\n}"), "not valid JSON: expected ident at line 2 column 11");
        assert!(refusal(b"").contains("line 1 column 0"));
        assert!(refusal(b"{} x").contains("trailing characters at line 1 column 4"));
        assert!(refusal(b"{\"a\":1e999, \"b\":x}").contains("line 1 column 17"));
        assert!(refusal("[".repeat(200).as_bytes()).contains("recursion limit"));
        assert!(refusal(b"{\"a\xff\":1}").contains("offset 3"));
        assert!(refusal(b"[NaN]").contains("not valid JSON"));
        assert!(refusal(b"[01e999]").contains("not valid JSON"));
    }

    #[test]
    fn a_document_that_is_too_large_is_not_read() {
        let garbage = vec![b'['; 10_000_000];
        let message = refusal(&garbage);
        assert!(message.contains("10000000") && message.contains("4194304"), "{message}");
    }

    /// JSON with strings that look like numbers, quotes and escapes.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1000i32..1000).prop_map(|n| Value::from(f64::from(n) / 8.0)),
            "[-0-9e.\"\\\\ü\n,:]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let map = proptest::collection::btree_map("[0-9\"\\\\a]{0,4}", inner.clone(), 0..6);
            let object = map.prop_map(Value::from_iter);
            prop_oneof![proptest::collection::vec(inner, 0..6).prop_map(Value::from), object]
        })
    }

    proptest! {
        #[test]
        fn the_tree_says_what_serde_json_reads(value in json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let node = read(text.as_bytes(), &mut Report::default()).unwrap();
            let again: Value = serde_json::from_str(&node.to_value().to_string()).unwrap();
            prop_assert_eq!(again, integral(value));
        }
    }

    /// The tree spells 2.0 as 2.
    fn integral(value: Value) -> Value {
        match value {
            Value::Number(n) if n.as_f64().is_some_and(|x| n.is_f64() && x.fract() == 0.0) => {
                Value::from(n.as_f64().unwrap() as i64)
            }
            Value::Array(items) => items.into_iter().map(integral).collect(),
            Value::Object(map) => map.into_iter().map(|(k, v)| (k, integral(v))).collect(),
            other => other,
        }
    }
}
