//! What the runtime counts as a whole.

use super::{Own, Samples, Source};
use crate::page::Kind::{Counter, Gauge};

/// The metrics of the runtime as a whole, in the order of the page.
pub const FAMILIES: &[Own] = &[
    Own::new(Gauge, "tidegate_build_info", &["version"], "Always 1; the library's version is its label.", |_, to| {
        to.put(&[env!("CARGO_PKG_VERSION")], 1);
    }),
    Own::new(Gauge, "tidegate_rules_version", &[], "Version of the rules in force; 0 before the first.", |from, to| {
        to.put(&[], from.snapshot.rules_version);
    }),
    Own::new(Gauge, "tidegate_segment_bytes", &[], "Size of the segment.", |from, to| {
        to.put(&[], from.snapshot.segment_bytes.0);
    })
    .unit("bytes"),
    Own::new(
        Gauge,
        "tidegate_segment_used_bytes",
        &[],
        "Bytes of the segment that were handed out so far, those given back included.",
        |from, to| to.put(&[], from.snapshot.segment_bytes.1),
    )
    .unit("bytes"),
    Own::new(
        Counter,
        "tidegate_overflow",
        &["kind"],
        "Names and label sets that found no room and share the overflow guard or series of their kind.",
        overflow,
    ),
    Own::new(
        Counter,
        "tidegate_clock_jumps",
        &[],
        "Jumps of the clock: the machine was suspended or moved.",
        |from, to| {
            to.put(&[], from.snapshot.clock_jumps);
        },
    ),
    Own::new(
        Gauge,
        "tidegate_system_cpu_ratio",
        &[],
        "Share of the container's CPU that is used, as last sampled; left out while that is not known.",
        |from, to| share(from.snapshot.load.cpu, to),
    )
    .unit("ratio"),
    Own::new(
        Gauge,
        "tidegate_system_memory_ratio",
        &[],
        "Share of the container's memory that is used, likewise.",
        |from, to| share(from.snapshot.load.memory, to),
    )
    .unit("ratio"),
    Own::new(
        Counter,
        "tidegate_reaped_processes",
        &[],
        "Processes that died and whose share was taken back.",
        |from, to| to.put(&[], from.snapshot.reaped),
    ),
    Own::new(
        Counter,
        "tidegate_permit_misuse",
        &[],
        "Exits of what never was a permit, in the process that renders.",
        |from, to| to.put(&[], from.snapshot.nameless_exits),
    ),
    Own::new(
        Gauge,
        "tidegate_metrics_conflicts",
        &[],
        "Metrics and series that this page leaves out: their names clash, or names or labels are malformed.",
        |from, to| to.put(&[], from.left_out),
    ),
];

fn share(permille: u32, to: &mut Samples<'_>) {
    if permille > 0 {
        to.put_float(&[], f64::from(permille) / 1000.0);
    }
}

fn overflow(from: &Source<'_>, to: &mut Samples<'_>) {
    for (kind, n) in ["guard", "counter", "gauge", "histogram"].into_iter().zip(from.snapshot.overflowed) {
        to.put(&[kind], n);
    }
}
