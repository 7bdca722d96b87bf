//! What leaves the process: all metrics of a runtime as text, in the format that a scraper asks for.
//!
//! ```
//! use tidegate_core::metrics::snapshot::Snapshot;
//! use tidegate_telemetry::{Format, render};
//!
//! let format = Format::negotiate("application/openmetrics-text; version=1.0.0");
//! let page = render(&Snapshot::default(), &[], format);
//! assert!(page.ends_with("# EOF\n"));
//! ```
//!
//! Everything here is **cold**, holds no lock and keeps no state; any number of threads may render at once.

#![deny(missing_docs)]

mod accept;
mod figures;
mod format;
mod labels;
mod ladder;
mod names;
mod number;
mod own;
mod page;
mod reference;
mod users;

pub use figures::PolicyFigures;
pub use format::Format;
pub use reference::reference_markdown;

use tidegate_core::metrics::snapshot::Snapshot;

/// All metrics as one page: the users' own, then the runtime's (docs/metrics.md lists those).
///
/// `policies` are what the policy host counted; of two of the same name the first counts. What cannot be exposed without
/// making the page invalid (two metrics whose exposed names clash, malformed names or labels) is left out and counted in
/// `tidegate_metrics_conflicts`. Both formats hold the same series.
pub fn render(snapshot: &Snapshot, policies: &[PolicyFigures], format: Format) -> String {
    let mut page = page::Page::new(format, estimate(snapshot));
    users::write(&mut page, &snapshot.families);
    own::write(&mut page, snapshot, policies);
    page.finish()
}

/// Roughly how many bytes the page will have, so that its buffer seldom grows.
fn estimate(snapshot: &Snapshot) -> usize {
    let series = |(name, family): (&String, &tidegate_core::metrics::snapshot::Family)| {
        let labels = family.series.first().map_or(0, |(labels, _)| labels.len());
        family.series.len() * (name.len() + family.unit.len() + labels + 24)
    };
    snapshot.families.iter().map(series).sum::<usize>() + (snapshot.guards.len() + 1) * (8 << 10)
}
