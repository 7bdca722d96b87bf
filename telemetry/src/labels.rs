//! Label sets as the segment holds them: already escaped text.
//!
//! They come from memory that other processes write too. One bad line makes a scraper throw the whole page away, so
//! each set is looked at before it is copied.

/// Whether the text is a label set as [`tidegate_core::metrics::name::label_text`] makes them: `a="b",c="d"`, sorted by
/// name, values escaped, none of the names that buckets and quantiles need.
pub fn are_well_formed(labels: &str) -> bool {
    let (mut rest, mut previous) = (labels.as_bytes(), &b""[..]);
    while !rest.is_empty() {
        let Some((name, after)) = take_label(rest) else { return false };
        if name <= previous || matches!(name, b"le" | b"quantile") {
            return false;
        }
        previous = name;
        rest = match after {
            [] => return true,
            [b',', more @ ..] if !more.is_empty() => more,
            _ => return false,
        };
    }
    true
}

/// The name of the label at the start, and what follows its value.
fn take_label(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|c| !NAME[usize::from(*c)])?;
    let (name, rest) = text.split_at_checked(end)?;
    let digit = name.first()?.is_ascii_digit();
    let after = after_value(rest.strip_prefix(b"=\"")?)?;
    (!digit).then_some((name, after))
}

/// What follows the quote that ends a value.
fn after_value(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let stop = rest.iter().position(|c| STOP[usize::from(*c)])?;
        match rest.get(stop..)? {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'"' | b'\\' | b'n', after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// What names consist of. Tables, since every byte of 100 000 series is looked up in one of the two.
const NAME: [bool; 256] = table(b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
/// What ends a plain stretch of a value.
const STOP: [bool; 256] = table(b"\"\\\n");

const fn table(of: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < of.len() {
        table[of[at] as usize] = true;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::are_well_formed;
    use proptest::prelude::*;
    use tidegate_core::metrics::name::label_text;

    #[test]
    fn refuses_what_would_spoil_the_page() {
        let bad = [
            "a",
            "a=",
            "a=\"",
            "a=\"x",
            "a=\"x\",",
            ",a=\"x\"",
            "a=\"x\"b=\"y\"",
            "a=\"x\ny\"",
            "a=\"\\x\"",
            "a=\"\\",
            "1a=\"x\"",
            "a-b=\"x\"",
            "=\"x\"",
            "b=\"x\",a=\"y\"",
            "a=\"x\",a=\"y\"",
            "le=\"1\"",
            "quantile=\"1\"",
            "a=\"x\"} 1\nfake{b=\"y\"",
        ];
        for labels in bad {
            assert!(!are_well_formed(labels), "{labels}");
        }
    }

    proptest! {
        #[test]
        fn accepts_what_core_makes(values in prop::collection::btree_map("[a-z][a-zA-Z0-9_]{0,5}", "[\"\\\\\n\r =,{}nü]{0,8}", 0..5)) {
            let labels: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            if let Ok(text) = label_text(&labels) {
                prop_assert!(are_well_formed(&text), "{}", text);
            }
        }
    }
}
