//! Calls that a generation must answer before it is published: made-up records at the edges.

use crate::error::{Phase, PolicyError};
use crate::instance::Instance;
use tidegate_core::policy::{Attribute, MAX_ATTRIBUTES, RECORD_VERSION, Record};

/// Asks about each golden record, with and without the attributes that the guest asked for.
pub(crate) fn run(instance: &mut Instance) -> Result<(), PolicyError> {
    let ids: Vec<u32> = instance.wanted().iter().take(MAX_ATTRIBUTES).collect();
    let values: [&[u8]; 4] = [b"", b"free", &[0xff; 3], &[b'x'; 600]];
    for (number, record) in records().iter().enumerate() {
        let value = values[number % values.len()];
        let attributes: Vec<_> = ids.iter().map(|id| Attribute { id: *id, value }).collect();
        call(instance, number, record, &attributes)?;
        call(instance, number, record, &[])?;
    }
    Ok(())
}

fn call(
    instance: &mut Instance,
    number: usize,
    record: &Record,
    attributes: &[Attribute<'_>],
) -> Result<(), PolicyError> {
    let decided = instance.decide(record, attributes).map(|_| ());
    decided.map_err(|failure| instance.refusal(Phase::Golden(number), &failure))?;
    let observed = instance.observe(record, (number % 6) as u8, record.remaining_ns);
    observed.map_err(|failure| instance.refusal(Phase::Observe, &failure))
}

fn records() -> [Record; 6] {
    let quiet = Record {
        size: size_of::<Record>() as u16,
        version: RECORD_VERSION,
        breaker: 1,
        now_ns: 1_000_000_000,
        remaining_ns: u64::MAX,
        cost: 1,
        guard: 1,
        ..Record::default()
    };
    let busy = Record { inflight: 100, limit: 100, pressure: 1000, key_hash: 1 << 63, ..quiet };
    let extreme = Record {
        criticality: u16::MAX,
        breaker: u16::MAX,
        now_ns: i64::MAX as u64,
        key_hash: u64::MAX,
        cost: u32::MAX,
        inflight: u32::MAX,
        limit: u32::MAX,
        pressure: u32::MAX,
        guard: u32::MAX,
        ..quiet
    };
    [
        quiet,
        Record { criticality: 1, ..busy },
        Record { criticality: 2, breaker: 3, ..busy },
        Record { remaining_ns: 0, cost: 0, ..quiet },
        Record { now_ns: 0, breaker: 0, ..quiet },
        extreme,
    ]
}
