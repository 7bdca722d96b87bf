//! Hashes of short names and keys.

/// FNV-1a (Fowler, Noll, Vo), 64 bits, with a finishing mix so that the low bits serve as an index.
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let hash = bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    mix(hash)
}

/// Spreads a number over all bits (the finaliser of SplitMix64, Steele et al. 2014).
#[inline(always)]
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
