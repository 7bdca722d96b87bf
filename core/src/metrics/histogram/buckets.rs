//! Which bucket a value falls into, and where a bucket ends.

use super::{BUCKETS, SCALE_BUCKETS};

/// Exponent of the lowest octave.
const LOWEST: i32 = -34;

/// For values of the histogram's own unit: the boundaries of each octave start with its beginning.
pub(super) const STEPS: [u64; 32] = steps(&BOUNDS, 1);
/// For nanoseconds, where the histogram's unit is the second: 10⁹ lies 0.63 of a bucket before boundary 14 of its
/// octave of nanoseconds.
pub(super) const NS_STEPS: [u64; 32] = steps(&ns_bounds(), 479);

/// Mantissas of 2^(j/16), rounded down to 52 bits.
const BOUNDS: [u64; 16] = [
    0x0000000000000,
    0x0B5586CF9890F,
    0x172B83C7D517A,
    0x2387A6E756238,
    0x306FE0A31B715,
    0x3DEA64C123422,
    0x4BFDAD5362A27,
    0x5AB07DD485429,
    0x6A09E667F3BCC,
    0x7A11473EB0186,
    0x8ACE5422AA0DB,
    0x9C49182A3F090,
    0xAE89F995AD3AD,
    0xC199BDD85529C,
    0xD5818DCFBA487,
    0xEA4AFA2A490D9,
];

/// The same of 10⁹ × 2^(j/16), in rising order.
const fn ns_bounds() -> [u64; 16] {
    let mut bounds = [0; 16];
    let mut j = 0;
    while j < 16 {
        let exact = ((1 << 52) + BOUNDS[j] as u128) * 1_000_000_000;
        let octave = 127 - exact.leading_zeros();
        // The first two lie before the end of the octave that 10⁹ is in, the others in the next.
        bounds[(j + 14) % 16] = (exact >> (octave - 52)) as u64 & ((1 << 52) - 1);
        j += 1;
    }
    bounds
}

/// For each 32nd of an octave, what is added to a value's bits so that those from bit 48 up count buckets. As they stand
/// they count octaves and equal sixteenths of them. Added is by how many the boundaries that lie below are more, and,
/// where there is a boundary inside, what makes a mantissa over it carry into bit 48. `before` is how many
/// boundaries lie between the lowest bucket's lower one (which is boundary LOWEST) and the first of octave 0.
const fn steps(bounds: &[u64; 16], before: i32) -> [u64; 32] {
    let first = ((1023 + LOWEST) * SCALE_BUCKETS + before) as u64;
    let mut steps = [0; 32];
    let mut step = 0;
    while step < 32 {
        let (start, end) = ((step as u64) << 47, (step as u64 + 1) << 47);
        let (mut below, mut carry, mut bound) = (0, 0, 0);
        while bound < 16 {
            if bounds[bound] < start {
                below += 1;
            } else if bounds[bound] < end {
                carry = (1 << 48) - 1 - (bounds[bound] & ((1 << 48) - 1));
            }
            bound += 1;
        }
        let sixteenths = step as u64 / 2;
        steps[step] = (((below - sixteenths) << 48) + carry).wrapping_sub(first << 48);
        step += 1;
    }
    steps
}

/// The bucket of a value of no sign, counted from the lowest; over [`BUCKETS`] where it has none.
#[inline(always)]
pub(super) fn any_bucket_of(value: f64, steps: &[u64; 32]) -> usize {
    let bits = value.to_bits();
    (bits.wrapping_add(steps[(bits >> 47) as usize % 32]) >> 48) as usize
}

/// The bucket of a value over 2⁻³⁴ and finite, counted from the lowest; None: the zero bucket.
pub fn bucket_of(value: f64) -> Option<usize> {
    match any_bucket_of(value, &STEPS) {
        bucket if bucket < BUCKETS => Some(bucket),
        _ if value > 1.0 => Some(BUCKETS - 1),
        _ => None,
    }
}

/// The upper bound of a bucket.
pub fn upper_bound(bucket: usize) -> f64 {
    let index = bucket as i32 + LOWEST * SCALE_BUCKETS + 1;
    (f64::from(index) / f64::from(SCALE_BUCKETS)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_powers_of_the_base() {
        for (j, bound) in BOUNDS.iter().enumerate() {
            let exact = (j as f64 / 16.0).exp2();
            let mantissa = exact.to_bits() & ((1 << 52) - 1);
            assert!(mantissa.abs_diff(*bound) <= 1, "{j}: {mantissa:x} {bound:x}");
        }
    }

    #[test]
    fn powers_of_two_close_their_bucket() {
        for exponent in -20..20 {
            let value = f64::from(exponent).exp2();
            let bucket = bucket_of(value).unwrap();
            assert_eq!(upper_bound(bucket), value);
            assert_eq!(bucket_of(value * 1.0001), Some(bucket + 1));
        }
    }

    #[test]
    fn the_ends_are_kept() {
        assert_eq!(bucket_of(0.0), None);
        assert_eq!(bucket_of(1e-12), None);
        assert_eq!(bucket_of(f64::MAX), Some(BUCKETS - 1));
        assert_eq!(bucket_of(f64::MIN_POSITIVE), None);
    }

    #[test]
    fn nanoseconds_fall_into_the_bucket_of_their_seconds() {
        // Up to five hours: beyond, a nanosecond is no more than the rounding of a 64-bit float.
        let near_bounds = (0..BUCKETS).map(|bucket| (upper_bound(bucket) * 1e9) as u64).take_while(|ns| *ns < 1 << 44);
        let around = near_bounds.flat_map(|ns| ns.saturating_sub(3)..ns + 4);
        for ns in around.chain(0..100_000).filter(|ns| *ns > 0) {
            let bucket = any_bucket_of(ns as f64, &NS_STEPS);
            assert_eq!(Some(bucket), bucket_of(ns as f64 * 1e-9), "{ns}");
        }
        assert!(any_bucket_of(0.0, &NS_STEPS) >= BUCKETS);
        assert!(any_bucket_of(i64::MAX as f64, &NS_STEPS) < BUCKETS);
    }

    proptest! {
        #[test]
        fn every_value_lies_in_its_bucket(exponent in -33.0f64..61.0) {
            let value = exponent.exp2();
            let bucket = bucket_of(value).unwrap();
            prop_assert!(value <= upper_bound(bucket) * (1.0 + 1e-12));
            prop_assert!(bucket == 0 || value > upper_bound(bucket - 1) * (1.0 - 1e-12));
        }
    }
}
