//! The time left as a plain number of milliseconds, in a header of HTTP.
//!
//! No standard names one. [`EXPECTED`] is Envoy's (its router documents it): the time in which the proxy, and so whoever
//! called it, expects the answer; it is what we read and send. [`UPSTREAM`] is what a caller asks of an Envoy
//! between; it is read where [`EXPECTED`] is missing, and a value of 0 in it means no limit.

use super::grpc_timeout::Text;
use std::fmt::Write;

/// What a proxy tells its upstream, and what we tell a callee.
pub const EXPECTED: &str = "x-envoy-expected-rq-timeout-ms";
/// What a caller tells a proxy.
pub const UPSTREAM: &str = "x-envoy-upstream-rq-timeout-ms";

const MS: u64 = 1_000_000;
/// Of 2⁶⁴.
const MAX_DIGITS: usize = 20;

/// Nanoseconds of a header's value, which is digits alone; more than 64 bits saturate. None when it is not one.
pub fn parse(value: &[u8]) -> Option<u64> {
    if !(1..=MAX_DIGITS).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(value.iter().fold(0, digit).saturating_mul(MS))
}

/// Writes the time left, rounded down: never more than is left.
pub fn format(remaining_ns: u64) -> Text {
    let mut text = Text::default();
    // Twenty bytes hold any number of 64 bits.
    let _ = write!(text, "{}", remaining_ns / MS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_digits_and_nothing_else() {
        for (text, want) in [("0", Some(0)), ("250", Some(250 * MS)), ("99999999999999999999", Some(u64::MAX))] {
            assert_eq!(parse(text.as_bytes()), want);
        }
        for text in ["", "-1", "+1", "1.5", " 1", "1ms", "999999999999999999999"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_is_left(ns: u64, shift in 0u32..64) {
            let ns = ns >> shift;
            let told = parse(format(ns).as_str().as_bytes()).unwrap();
            prop_assert!(told <= ns && ns - told < MS);
        }
    }
}
