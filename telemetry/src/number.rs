//! Numbers as both formats write them.

use std::fmt::Write;

/// Integers up to here are exact as f64.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends an integer.
#[inline]
pub fn push_int(text: &mut String, n: u64) {
    text.push_str(itoa::Buffer::new().format(n));
}

/// Appends a float, in as few digits as give it back.
pub fn push_float(text: &mut String, value: f64) {
    match value {
        _ if value.is_nan() => text.push_str("NaN"),
        f64::INFINITY => text.push_str("+Inf"),
        f64::NEG_INFINITY => text.push_str("-Inf"),
        _ if value.fract() == 0.0 && value.abs() < EXACT => {
            text.push_str(itoa::Buffer::new().format(value as i64));
        }
        _ => push_fraction(text, value),
    }
}

fn push_fraction(text: &mut String, value: f64) {
    let plain = (1e-5..1e17).contains(&value.abs());
    // Writing to a string cannot fail.
    let _ = if plain { write!(text, "{value}") } else { write!(text, "{value:e}") };
}

/// A bucket's bound. Label values are compared as text, so OpenMetrics asks for one spelling: Go's `%g`, with `.0`
/// where that has neither point nor exponent. Bounds are positive and finite.
pub fn bound(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(value: f64) -> String {
        let mut text = String::new();
        push_float(&mut text, value);
        text
    }

    #[test]
    fn floats_are_short_and_plain() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (0.25, "0.25"),
            (1e300, "1e300"),
            (-1.5e-9, "-1.5e-9"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (EXACT, "9007199254740992"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn bounds_are_spelt_as_in_go() {
        let cases = [
            (0.00000762939453125, "7.62939453125e-06"),
            (0.0001220703125, "0.0001220703125"),
            (0.5, "0.5"),
            (1.0, "1.0"),
            (128.0, "128.0"),
            (262_144.0, "262144.0"),
            (1_048_576.0, "1.048576e+06"),
            (1_099_511_627_776.0, "1.099511627776e+12"),
        ];
        for (value, text) in cases {
            assert_eq!(bound(value), text);
        }
    }

    proptest! {
        #[test]
        fn floats_are_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            let read: f64 = float(value).parse().unwrap();
            prop_assert!(read == value || value.is_nan() && read.is_nan());
        }

        #[test]
        fn integers_are_read_back(n: u64) {
            let mut text = String::new();
            push_int(&mut text, n);
            prop_assert_eq!(text.parse::<u64>(), Ok(n));
        }
    }
}
