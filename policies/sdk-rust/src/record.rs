//! One call as the host writes it into the arena.

use crate::host::Attribute;

/// What every call has; see `docs/policies.md` for each field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Bytes of the record, without attributes; only ever grows.
    pub size: u16,
    /// 1.
    pub version: u16,
    /// 0 default, 1 critical, 2 sheddable.
    pub criticality: u16,
    /// 0 disabled, 1 closed, 2 open, 3 half-open.
    pub breaker: u16,
    /// On the runtime's clock.
    pub now_ns: u64,
    /// Of the call's key; 0 without one.
    pub key_hash: u64,
    /// To the call's deadline; `u64::MAX` without one.
    pub remaining_ns: u64,
    /// In units of the guard's rate limits.
    pub cost: u32,
    /// Calls in flight through the guard.
    pub inflight: u32,
    /// The guard's concurrency limit; 0 without one.
    pub limit: u32,
    /// How near the guard is to refusing, in thousandths.
    pub pressure: u32,
    /// A number for the guard, stable while it lives.
    pub guard: u32,
    attribute_count: u32,
    attribute_offset: u32,
    reserved: u32,
}

const _: () = assert!(size_of::<Record>() == 64);

#[repr(C)]
struct Entry {
    id: u32,
    offset: u32,
    length: u32,
    flags: u32,
}

/// A call: its record, and the attributes that the policy asked for.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// What every call has.
    pub record: &'a Record,
}

impl<'a> Call<'a> {
    /// # Safety
    /// The host wrote the record, and its attributes behind it.
    pub(crate) unsafe fn at(record: *const Record) -> Self {
        // SAFETY: as the caller says.
        Self { record: unsafe { &*record } }
    }

    /// The value of an attribute; `None` when the call does not carry it. Values over 512 bytes are cut.
    pub fn value(&self, attribute: Attribute) -> Option<&'a [u8]> {
        let base = core::ptr::from_ref(self.record).cast::<u8>();
        (0..self.record.attribute_count as usize).find_map(|n| {
            // SAFETY: the host wrote so many entries there, and the values that they point to.
            unsafe {
                let entries = base.add(self.record.attribute_offset as usize).cast::<Entry>();
                let entry = &*entries.add(n);
                let value = || core::slice::from_raw_parts(base.add(entry.offset as usize), entry.length as usize);
                (entry.id == attribute.id()).then(value)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[repr(C)]
    struct Written {
        record: Record,
        entries: [Entry; 2],
        values: [u8; 8],
    }

    #[test]
    fn values_are_found_by_attribute() {
        let record = Record { attribute_count: 2, attribute_offset: 64, ..Record::default() };
        let entry = |id, offset, length| Entry { id, offset, length, flags: 0 };
        let written = Written { record, entries: [entry(3, 96, 4), entry(9, 100, 0)], values: *b"free1234" };
        // SAFETY: laid out as the host does.
        let call = unsafe { Call::at((&raw const written).cast()) };
        assert_eq!(call.value(Attribute::numbered(3)), Some(&b"free"[..]));
        assert_eq!(call.value(Attribute::numbered(9)), Some(&b""[..]));
        assert_eq!(call.value(Attribute::numbered(4)), None);
    }

    #[test]
    fn fields_lie_where_the_contract_says() {
        assert_eq!(offset_of!(Record, now_ns), 8);
        assert_eq!(offset_of!(Record, cost), 32);
        assert_eq!(offset_of!(Record, guard), 48);
        assert_eq!(offset_of!(Record, attribute_offset), 56);
    }
}
