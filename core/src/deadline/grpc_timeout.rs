//! The header `grpc-timeout`: one to eight digits and a unit, as `1500m`.
//!
//! Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md), "Timeout".

use std::fmt::Write;

/// The header's name.
pub const NAME: &str = "grpc-timeout";
const MAX_DIGITS: usize = 8;
const MAX_VALUE: u64 = 99_999_999;

/// From the finest, with the nanoseconds of one.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Nanoseconds of a header's value; more than 64 bits saturate. None when it is not one. A value of 0 is taken, though the
/// protocol asks for positive ones: peers send it for a deadline that has passed.
pub fn parse(value: &[u8]) -> Option<u64> {
    let (unit, digits) = value.split_last()?;
    let (_, ns) = UNITS.iter().find(|(name, _)| name == unit)?;
    if !(1..=MAX_DIGITS).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some(value.saturating_mul(*ns))
}

/// Writes the time left in the finest unit that eight digits hold, rounded down: never more than is left, and less by at most a
/// part in 100 000.
pub fn format(remaining_ns: u64) -> Text {
    let mut text = Text::default();
    let fits = |&&(_, ns): &&(u8, u64)| remaining_ns / ns <= MAX_VALUE;
    if let Some(&(unit, ns)) = UNITS.iter().find(fits) {
        // Ten bytes hold nine.
        let _ = write!(text, "{}{}", remaining_ns / ns, char::from(unit));
    }
    text
}

/// A header's value, without allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    bytes: [u8; 20],
    len: u8,
}

impl Text {
    /// The value, in ASCII.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let at = usize::from(self.len);
        let room = self.bytes.get_mut(at..at + text.len()).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len() as u8;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_unit() {
        let cases = [
            ("1H", 3_600_000_000_000),
            ("2M", 120_000_000_000),
            ("3S", 3_000_000_000),
            ("1500m", 1_500_000_000),
            ("7u", 7_000),
            ("00000009n", 9),
            ("0n", 0),
            ("99999999M", 5_999_999_940_000_000_000),
            ("99999999H", u64::MAX),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text.as_bytes()), Some(want), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one() {
        for text in ["", "S", "1", "123456789S", "-1S", "+1S", "1 S", "1s", "1.5S", "1SS", " 1S", "1S ", "\u{0661}S"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn writes_the_finest_unit_that_fits() {
        let cases = [
            (0, "0n"),
            (99_999_999, "99999999n"),
            (100_000_000, "100000u"),
            (1_999_999_999, "1999999u"),
            (100_000_000_000, "100000m"),
            (u64::MAX, "5124095H"),
        ];
        for (ns, want) in cases {
            assert_eq!(format(ns).as_str(), want);
        }
    }

    proptest! {
        #[test]
        fn never_more_than_is_left(ns: u64, shift in 0u32..64) {
            let ns = ns >> shift;
            let told = parse(format(ns).as_str().as_bytes()).unwrap();
            prop_assert!(told <= ns && ns - told <= ns / 100_000, "{} of {}", told, ns);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Some(ns) = parse(&bytes) {
                prop_assert!(format(ns).as_str().len() <= 9);
            }
        }
    }
}
