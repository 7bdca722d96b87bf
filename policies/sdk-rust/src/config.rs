//! A flat JSON object, as configurations mostly are.

/// The configuration that the operator gave with the module: an object of numbers and texts. Fields of nested objects
/// are not told apart from those of the outer one.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a>(&'a [u8]);

impl<'a> Config<'a> {
    /// Of these bytes.
    pub const fn new(json: &'a [u8]) -> Self {
        Self(json)
    }

    /// The whole configuration.
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The whole number of a field; `otherwise` when it is not there, is no number, or does not fit.
    pub fn number(&self, field: &str, otherwise: i64) -> i64 {
        self.find(field).and_then(number).unwrap_or(otherwise)
    }

    /// The text of a field, with escapes as they stand.
    pub fn text(&self, field: &str) -> Option<&'a [u8]> {
        let (quote, text) = self.find(field)?.split_first()?;
        (*quote == b'"').then(|| string(text).0)
    }

    /// What follows the colon of a field.
    fn find(&self, field: &str) -> Option<&'a [u8]> {
        let mut rest = self.0;
        loop {
            let quote = rest.iter().position(|byte| *byte == b'"')?;
            let (name, after) = string(&rest[quote + 1..]);
            rest = after.trim_ascii_start();
            if rest.first() == Some(&b':') && name == field.as_bytes() {
                return Some(rest[1..].trim_ascii_start());
            }
        }
    }
}

/// The text up to the closing quote (or the end), and what follows it.
fn string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let end = at.min(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or(&[]))
}

fn number(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes.split_first()? {
        (b'-', rest) => (-1, rest),
        _ => (1, bytes),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let fold = |sum: i64, digit: &u8| sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'));
    let sum = digits[..count].iter().try_fold(0, fold)?;
    (count > 0).then_some(sign * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config<'_> =
        Config::new(br#" { "free_above" : 800, "note":"\"free_above\": 1", "down": -5, "who":"eu", "on": true } "#);

    #[test]
    fn fields_are_found() {
        assert_eq!(CONFIG.number("free_above", 0), 800);
        assert_eq!(CONFIG.number("down", 0), -5);
        assert_eq!(CONFIG.text("who"), Some(&b"eu"[..]));
        assert_eq!(CONFIG.text("note"), Some(&br#"\"free_above\": 1"#[..]));
    }

    #[test]
    fn what_is_not_there_or_of_another_kind_is_not() {
        assert_eq!(CONFIG.number("missing", 7), 7);
        assert_eq!(CONFIG.number("who", 7), 7);
        assert_eq!(CONFIG.number("on", 7), 7);
        assert_eq!(CONFIG.text("down"), None);
    }

    #[test]
    fn rubbish_is_no_field() {
        for rubbish in ["", "{", "\"", "{\"a\"", "{\"a\":", "{\"a\\", "{\"a\":99999999999999999999}"] {
            assert_eq!(Config::new(rubbish.as_bytes()).number("a", 7), 7, "{rubbish}");
        }
        assert_eq!(Config::new(b"{\"a\":\"open").text("a"), Some(&b"open"[..]));
    }
}
