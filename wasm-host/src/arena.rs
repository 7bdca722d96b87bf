//! Writes a call into the region that the guest set aside for it.
//!
//! ```text
//! 0   record, 64 bytes
//! 64  attributes, 16 bytes each: id, offset from the record, length, flags (1: cut short)
//! ..  their values, one after another
//! ```

use crate::attributes::IdSet;
use tidegate_core::policy::{Attribute, MAX_ATTRIBUTES, RECORD_VERSION, Record};

/// Bytes of the region that `tg_policy_arena` gives.
pub const ARENA_BYTES: usize = 16 << 10;
/// Longer values are cut to this many bytes, and flagged.
pub const VALUE_MAX_BYTES: usize = 512;

const RECORD_BYTES: usize = size_of::<Record>();
const ENTRY_BYTES: usize = 16;
const VALUE_CUT: u32 = 1;

const _: () =
    assert!(RECORD_BYTES + MAX_ATTRIBUTES * (ENTRY_BYTES + VALUE_MAX_BYTES) <= ARENA_BYTES, "every call fits");

pub(crate) type Arena = [u8; ARENA_BYTES];

/// **Hot.** Writes `record` with those `attributes` that are `wanted`.
#[inline]
pub(crate) fn write(arena: &mut Arena, record: &Record, attributes: &[Attribute<'_>], wanted: &IdSet) {
    let mut count = 0;
    if !wanted.is_empty() && !attributes.is_empty() {
        count = write_attributes(arena, attributes, wanted);
    }
    for (n, word) in words(record, count).into_iter().enumerate() {
        arena[8 * n..][..8].copy_from_slice(&word.to_le_bytes());
    }
}

/// The record as the guest reads it, in words.
///
/// The caller has just written it field by field, and a guest is likely to read it in words. A load that spans several
/// stores still in flight waits for all of them (some 5 ns on current x86), so each field is loaded as it was stored,
/// and words are stored.
#[inline]
fn words(record: &Record, attribute_count: u32) -> [u64; RECORD_BYTES / 8] {
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let head = pair(RECORD_BYTES as u32 | u32::from(RECORD_VERSION) << 16, 0);
    let (criticality, breaker) = (alone(&record.criticality), alone(&record.breaker));
    let offset = if attribute_count == 0 { 0 } else { RECORD_BYTES as u32 };
    [
        head | u64::from(criticality) << 32 | u64::from(breaker) << 48,
        alone(&record.now_ns),
        alone(&record.key_hash),
        alone(&record.remaining_ns),
        pair(alone(&record.cost), alone(&record.inflight)),
        pair(alone(&record.limit), alone(&record.pressure)),
        pair(alone(&record.guard), attribute_count),
        pair(offset, 0),
    ]
}

/// A field, by a load of its own.
#[inline]
fn alone<T: Copy>(field: &T) -> T {
    // SAFETY: a reference is valid to read from.
    unsafe { std::ptr::read_volatile(field) }
}

fn write_attributes(arena: &mut Arena, attributes: &[Attribute<'_>], wanted: &IdSet) -> u32 {
    let chosen = || attributes.iter().filter(|a| wanted.contains(a.id)).take(MAX_ATTRIBUTES);
    let mut value_at = RECORD_BYTES + chosen().count() * ENTRY_BYTES;
    let mut count = 0;
    for attribute in chosen() {
        let length = attribute.value.len().min(VALUE_MAX_BYTES);
        let flags = if length < attribute.value.len() { VALUE_CUT } else { 0 };
        let entry = [attribute.id, value_at as u32, length as u32, flags];
        let entry_at = RECORD_BYTES + count as usize * ENTRY_BYTES;
        for (n, word) in entry.into_iter().enumerate() {
            arena[entry_at + 4 * n..][..4].copy_from_slice(&word.to_le_bytes());
        }
        arena[value_at..][..length].copy_from_slice(&attribute.value[..length]);
        value_at += length;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    fn word(arena: &Arena, at: usize) -> u32 {
        u32::from_le_bytes(arena[at..at + 4].try_into().expect("4 bytes"))
    }

    fn wanting(ids: &[u32]) -> IdSet {
        let mut set = IdSet::default();
        ids.iter().for_each(|id| set.insert(*id));
        set
    }

    #[test]
    fn the_record_comes_first() {
        let mut arena = [0xee; ARENA_BYTES];
        let record = Record { now_ns: 0x0102_0304_0506_0708, guard: 9, reserved: 5, ..Record::default() };
        write(&mut arena, &record, &[], &wanting(&[1]));
        assert_eq!(arena[..4], [64, 0, RECORD_VERSION as u8, 0]);
        assert_eq!(arena[8..16], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(word(&arena, offset_of!(Record, guard)), 9);
        assert_eq!(word(&arena, offset_of!(Record, attribute_count)), 0);
        assert_eq!(word(&arena, offset_of!(Record, reserved)), 0);
        assert!(arena[64..].iter().all(|byte| *byte == 0xee));
    }

    #[test]
    fn only_wanted_attributes_follow() {
        let mut arena = [0; ARENA_BYTES];
        let attributes =
            [Attribute { id: 1, value: b"no" }, Attribute { id: 2, value: b"free" }, Attribute { id: 900, value: b"" }];
        write(&mut arena, &Record::default(), &attributes, &wanting(&[2, 900]));
        assert_eq!(word(&arena, offset_of!(Record, attribute_count)), 2);
        assert_eq!(word(&arena, offset_of!(Record, attribute_offset)), 64);
        assert_eq!([0, 4, 8, 12].map(|n| word(&arena, 64 + n)), [2, 96, 4, 0]);
        assert_eq!([0, 4, 8, 12].map(|n| word(&arena, 80 + n)), [900, 100, 0, 0]);
        assert_eq!(&arena[96..100], b"free");
    }

    #[test]
    fn too_long_and_too_many_is_cut() {
        let mut arena = [0; ARENA_BYTES];
        let long = [7; VALUE_MAX_BYTES + 1];
        let attributes = [Attribute { id: 1, value: &long }; MAX_ATTRIBUTES + 1];
        write(&mut arena, &Record::default(), &attributes, &wanting(&[1]));
        assert_eq!(word(&arena, offset_of!(Record, attribute_count)), MAX_ATTRIBUTES as u32);
        assert_eq!([8, 12].map(|n| word(&arena, 64 + n)), [VALUE_MAX_BYTES as u32, VALUE_CUT]);
    }
}
