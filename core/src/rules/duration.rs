//! Durations as text: a decimal number and a unit, such as `250ms` or `1.5s`.

/// One microsecond, in nanoseconds.
pub(super) const MICROSECOND: u64 = 1_000;
/// One millisecond, in nanoseconds.
pub(super) const MILLISECOND: u64 = 1_000 * MICROSECOND;
/// One second, in nanoseconds.
pub(super) const SECOND: u64 = 1_000 * MILLISECOND;
/// One hour, in nanoseconds.
pub(super) const HOUR: u64 = 3_600 * SECOND;

/// Units, the largest first, and what each is in nanoseconds.
const UNITS: [(&str, u64); 6] =
    [("h", HOUR), ("m", 60 * SECOND), ("s", SECOND), ("ms", MILLISECOND), ("us", MICROSECOND), ("ns", 1)];

/// The pattern that [`parse`] accepts, as a regular expression.
pub(super) const PATTERN: &str = "^[0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h)$";

/// Reads a duration as nanoseconds, exactly.
///
/// The error says what is wrong with the text.
pub(super) fn parse(text: &str) -> Result<u64, &'static str> {
    if text.starts_with('-') {
        return Err("a duration cannot be negative");
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let scale = scale(unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err("write digits before the unit, and on both sides of a point");
    }
    let whole = whole.parse().map_err(|_| TOO_LONG)?;
    let nanos = scale.checked_mul(whole).ok_or(TOO_LONG)?;
    nanos.checked_add(part(fraction, scale)?).ok_or(TOO_LONG)
}

const TOO_LONG: &str = "the duration is too long";

fn scale(unit: &str) -> Result<u64, &'static str> {
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known.map(|(_, scale)| *scale).ok_or(match unit {
        "" => "the unit is missing; use ns, us, ms, s, m or h",
        _ => "write one number and one unit; units are ns, us, ms, s, m and h",
    })
}

/// Nanoseconds in a decimal fraction (the digits after the point) of a unit.
fn part(fraction: &str, scale: u64) -> Result<u64, &'static str> {
    let mut rest = scale;
    let mut nanos = 0;
    for digit in fraction.trim_end_matches('0').bytes() {
        if !rest.is_multiple_of(10) {
            return Err("it is finer than a nanosecond, or than this unit allows; use a smaller unit");
        }
        rest /= 10;
        nanos += rest * u64::from(digit - b'0');
    }
    Ok(nanos)
}

/// The shortest exact text of a duration: `0ns`, `250ms`, `744h`.
pub(super) fn format(nanos: u64) -> String {
    let exact = UNITS.iter().find(|(_, scale)| nanos != 0 && nanos.is_multiple_of(*scale));
    let (unit, scale) = exact.unwrap_or(&("ns", 1));
    format!("{}{unit}", nanos / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_and_a_unit_exactly() {
        let cases = [
            ("250ms", 250 * MILLISECOND),
            ("1.5s", 1_500 * MILLISECOND),
            ("2m", 120 * SECOND),
            ("1h", HOUR),
            ("10us", 10 * MICROSECOND),
            ("100ns", 100),
            ("0s", 0),
            ("0.000000001s", 1),
            ("1.100s", 1_100 * MILLISECOND),
            ("1.0ns", 1),
            ("0.125h", 450 * SECOND),
            ("18446744073709551615ns", u64::MAX),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one_number_and_one_unit() {
        let bad = [
            "",
            "s",
            "1",
            "1.5",
            ".5s",
            "1.s",
            "1..5s",
            "1.2.3s",
            " 1s",
            "1 s",
            "1s ",
            "-1s",
            "+1s",
            "1e3s",
            "1S",
            "1sec",
            "1m30s",
            "1d",
            "٣s",
            "0.5ns",
            "1.0005us",
            "0x1s",
            "NaN",
            "inf",
            "18446744073709551616ns",
            "18446744073709551615s",
            "99999999999999999999h",
            "5124095.9h",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn formats_what_it_reads() {
        for text in ["0ns", "1ns", "1500ms", "90s", "744h", "61s", "1us", "7m"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_duration_survives_the_round_trip(nanos: u64) {
            assert_eq!(parse(&format(nanos)), Ok(nanos));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9.nµumsh]{0,30}") {
            let _ = parse(&text);
        }
    }
}
