//! The hash of keys: SipHash-1-3 (Aumasson and Bernstein, 2012, with the rounds of most hash tables).
//!
//! Keys come from outside, and whoever can choose those that fall into one set can crowd another's key out of it, or
//! share its bucket. Against that the hash is a keyed pseudo-random function. The faster multiply-and-fold hashes are
//! none: what collides, and refusals tell what collides, leads back to their seed.

/// The secret of a segment: random, equal in all its processes, never shown.
#[derive(Clone, Copy)]
pub struct Seed {
    /// The first half.
    pub k0: u64,
    /// The second half.
    pub k1: u64,
}

impl Seed {
    /// The hash of a key of any length. **Hot.**
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        sip::<1, 3>(self, key)
    }
}

#[inline(always)]
fn sip<const EACH: usize, const LAST: usize>(seed: &Seed, key: &[u8]) -> u64 {
    let mut state = [
        seed.k0 ^ 0x736f_6d65_7073_6575,
        seed.k1 ^ 0x646f_7261_6e64_6f6d,
        seed.k0 ^ 0x6c79_6765_6e65_7261,
        seed.k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, rest) = key.as_chunks::<8>();
    for word in words {
        absorb::<EACH>(&mut state, u64::from_le_bytes(*word));
    }
    absorb::<EACH>(&mut state, (key.len() as u64) << 56 | short(rest));
    state[2] ^= 0xff;
    rounds::<LAST>(&mut state);
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

/// Fewer than eight bytes as a little-endian number.
#[inline(always)]
fn short(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[inline(always)]
fn absorb<const ROUNDS: usize>(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    rounds::<ROUNDS>(state);
    state[0] ^= word;
}

#[inline(always)]
fn rounds<const ROUNDS: usize>(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..ROUNDS {
        (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
        (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
        a = a.rotate_left(32);
        (c, a) = (c.wrapping_add(b), a.wrapping_add(d));
        (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
        c = c.rotate_left(32);
    }
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hasher};

    fn key(len: u8) -> Vec<u8> {
        (0..len).map(|byte| byte.wrapping_mul(37)).collect()
    }

    #[test]
    fn is_the_hash_of_the_standard_library_under_the_seed_zero() {
        for len in 0..100 {
            let mut theirs = DefaultHasher::new();
            theirs.write(&key(len));
            assert_eq!(Seed { k0: 0, k1: 0 }.hash(&key(len)), theirs.finish(), "{len}");
        }
    }

    /// The standard library shows its seed only with more rounds.
    #[test]
    #[allow(deprecated)]
    fn uses_the_seed_as_the_standard_library_does() {
        for len in 0..100 {
            let seed = Seed { k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908 };
            let mut theirs = std::hash::SipHasher::new_with_keys(seed.k0, seed.k1);
            theirs.write(&key(len));
            assert_eq!(sip::<2, 4>(&seed, &key(len)), theirs.finish(), "{len}");
        }
    }
}
