//! The numbers of a document as they were written.
//!
//! serde_json hands numbers over as u64, i64 or f64, and stops reading at the
//! first that f64 cannot hold. We want the text, and to go on: so its numbers are
//! found beside it, in the same order, and the huge ones are cut short for it.

use std::borrow::Cow;
use std::ops::Range;

/// Numbers from here on are cut short; well below what f64 holds, and above all that rules may say.
const HUGE: f64 = 1e300;

/// Walks the texts of a document's numbers, in order.
pub(super) struct Numbers<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Numbers<'t> {
    /// The numbers of this JSON text. Of other text: something, in bounds.
    pub(super) fn of(text: &'t str) -> Numbers<'t> {
        Numbers { text, at: 0 }
    }

    fn next_range(&mut self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let start = self.at;
            match byte {
                b'"' => self.at = end_of_string(bytes, start),
                b'-' | b'0'..=b'9' => {
                    self.at = end_of_number(bytes, start);
                    return Some(start..self.at);
                }
                _ => self.at += 1,
            }
        }
        None
    }
}

impl<'t> Iterator for Numbers<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        self.next_range().map(|range| &self.text[range])
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let in_number = |b: &&u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    start + bytes[start..].iter().take_while(in_number).count()
}

/// The text with each huge number made small, every other byte in its place.
pub(super) fn tame(text: &str) -> Cow<'_, str> {
    let mut tamed = Cow::Borrowed(text);
    let mut numbers = Numbers::of(text);
    while let Some(range) = numbers.next_range() {
        if is_huge(&text[range.clone()]) {
            let short = shortened(&text[range.clone()]);
            tamed.to_mut().replace_range(range, &short);
        }
    }
    tamed
}

/// Whether it is a JSON number beyond [`HUGE`]; what is no number stays for serde_json to refuse.
fn is_huge(number: &str) -> bool {
    let may_be = number.len() > 300 || number.contains(['e', 'E']);
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(number).is_ok();
    may_be && number.parse::<f64>().is_ok_and(|x| x.abs() >= HUGE) && is_json()
}

/// Its sign and first digit, padded to the same width.
fn shortened(number: &str) -> String {
    let keep = 1 + usize::from(number.starts_with('-'));
    format!("{}{}", &number[..keep], " ".repeat(number.len() - keep))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_numbers_outside_strings_only() {
        let text = r#"{"1":-2.5e3,"a\"4":["\\",7,true,"5"],"b":0}"#;
        assert_eq!(Vec::from_iter(Numbers::of(text)), ["-2.5e3", "7", "0"]);
    }

    #[test]
    fn anything_is_walked_in_bounds() {
        for text in ["", "\"", "\"\\", "-", "1", "é1", "\"é\\é\"1", "--+e."] {
            assert!(Numbers::of(text).count() <= 1, "{text}");
        }
    }

    #[test]
    fn huge_numbers_are_cut_and_nothing_moves() {
        let long = "9".repeat(400);
        let text = format!("[1e999, -1E+400,{long},5,\"1e999\",01e999,0e999]");
        let blank = " ".repeat(399);
        let want = format!("[1    , -1     ,9{blank},5,\"1e999\",01e999,0e999]");
        assert_eq!(tame(&text), want);
        assert!(matches!(tame("[1, 2e3]"), Cow::Borrowed(_)));
    }
}
