//! Repeatable randomness: every draw is a function of a seed and a count, so that the same seed gives the same waits and
//! choices in every language.
//!
//! Where one caller draws for itself: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators",
//! 2014). Its state is one word, every seed is as good as another, and a draw is an addition and the mix that
//! [`crate::hash`] has anyway; PCG would need a multiplication of state and a choice of stream, and gains nothing for waits.
//!
//! Where many callers share a count and a share of them is to be met ([`spread`]): a van der Corput sequence in an order
//! shuffled by the hash of Laine and Karras ("Stratified Sampling for Stochastic Transparency", 2011; as an Owen scramble:
//! Burley, "Practical Hash-based Owen Scrambling", 2020). Independent draws would miss their share by chance.

use crate::hash::mix;

/// Sixteen bytes that nobody can guess, of the kernel's. Where it gives none, of the clock and of addresses, which it lays out by chance.
pub fn secret() -> [u64; 2] {
    let mut secret = [0u64; 2];
    // SAFETY: as many bytes as the array has.
    let got = unsafe { libc::getrandom(secret.as_mut_ptr().cast(), size_of_val(&secret), 0) };
    if got != size_of_val(&secret) as isize {
        let here = std::ptr::from_ref(&secret) as u64;
        let (ns, code) = (crate::clock::monotonic_ns(), secret_of_addresses as *const () as u64);
        secret = secret_of_addresses(here ^ ns.rotate_left(32), code ^ ns);
    }
    secret
}

fn secret_of_addresses(a: u64, b: u64) -> [u64; 2] {
    [mix(a), mix(a ^ mix(b))]
}

/// The increment of SplitMix64: 2⁶⁴ divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A SplitMix64 generator: its whole state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draws(pub u64);

impl Draws {
    /// The next of 2⁶⁴ equally likely numbers.
    #[inline]
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number from `low` to `high`, both included; `low` where `high` is less.
    #[inline]
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = u128::from(high.saturating_sub(low)) + 1;
        low + ((u128::from(self.draw()) * width) >> 64) as u64
    }
}

/// The draw of number `count` in the sequence of `seed`: a fraction of one, in 2⁻³².
///
/// Of each aligned run of 2ᵏ counts exactly one falls into each 2ᵏ-th part of the range, so a share is met exactly in the
/// mean, and at every scale within one; which count falls where follows no pattern that a caller could be in step with.
/// The sequence of a seed repeats after 2³² counts.
#[inline]
pub fn spread(seed: u64, count: u64) -> u32 {
    let seed = mix(seed.wrapping_add(GAMMA)) as u32;
    let mut x = (count as u32).reverse_bits().wrapping_add(seed);
    // Multiplied by an even number, so a bit is changed only by those under it, which keeps the stratification.
    for factor in [0x6c50_b47c, 0xb82f_1e52, 0xc7af_e638, 0x8d22_f6e6u32] {
        x ^= x.wrapping_mul(factor);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_differ() {
        let [a, b] = [secret(), secret()];
        assert!(a != b && a[0] != a[1] && b[0] != b[1]);
        assert_ne!(secret_of_addresses(1, 2), secret_of_addresses(1, 3));
    }

    #[test]
    fn draws_are_those_of_splitmix64() {
        // The reference implementation's first numbers for seed 1234567.
        let mut draws = Draws(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| draws.draw()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_spread_has_no_period_that_a_caller_could_be_in_step_with() {
        // Of plain bit reversal every second number would lie in the upper half.
        for step in [2, 3, 4, 8] {
            let upper = (0..4096 / step).filter(|i| spread(7, i * step) >> 31 == 1).count() as i64;
            let half = 2048 / step as i64;
            assert!((upper - half).abs() < half / 4, "{upper} of {} in steps of {step}", 2 * half);
        }
    }

    proptest! {
        #[test]
        fn stays_between(seed: u64, low: u64, high: u64) {
            let drawn = Draws(seed).between(low, high);
            prop_assert!(drawn >= low && drawn <= high.max(low));
        }

        #[test]
        fn an_aligned_run_meets_every_part_once(seed: u64, bits in 0u32..10, at in 0u64..1 << 20) {
            let mut met: Vec<u32> = (0..1u64 << bits)
                .map(|i| (u64::from(spread(seed, (at << bits) + i)) >> (32 - bits)) as u32)
                .collect();
            met.sort_unstable();
            prop_assert!(met.iter().enumerate().all(|(part, &hit)| part as u32 == hit), "{:?}", met);
        }
    }
}
