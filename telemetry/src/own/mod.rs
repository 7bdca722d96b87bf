//! The runtime's own metrics: one table, from which both the page and its documentation are made.

mod alone;
mod guard;
mod policy;
mod runtime;

pub use guard::reason;

use crate::PolicyFigures;
use crate::ladder::Ladder;
use crate::page::{Header, Kind, Page};
use std::collections::BTreeMap;
use tidegate_core::guard::stats::GuardStats;
use tidegate_core::metrics::histogram::Histogram;
use tidegate_core::metrics::name::escape;
use tidegate_core::metrics::snapshot::Snapshot;

/// One metric of the runtime.
pub struct Own {
    /// Its name without `_total`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its unit, or empty.
    pub unit: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
    /// Writes its samples.
    write: fn(&Source<'_>, &mut Samples<'_>),
}

impl Own {
    const fn new(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
        write: fn(&Source<'_>, &mut Samples<'_>),
    ) -> Self {
        Own { name, kind, unit: "", labels, help, write }
    }

    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }
}

/// The sections of the table, with their titles.
pub const TABLE: [(&str, &[Own]); 5] = [
    ("Guards", guard::FAMILIES),
    ("Rate limits by key", guard::BY_KEY),
    ("Limiters and breakers that stand alone", alone::FAMILIES),
    ("Policies", policy::FAMILIES),
    ("The runtime", runtime::FAMILIES),
];

/// What the samples are read from.
struct Source<'a> {
    snapshot: &'a Snapshot,
    guards: Vec<(&'a str, &'a GuardStats)>,
    policies: BTreeMap<&'a str, &'a PolicyFigures>,
    left_out: u64,
}

/// Writes all of them; a metric without samples is left out.
pub fn write(page: &mut Page, snapshot: &Snapshot, policies: &[PolicyFigures]) {
    let source = Source {
        snapshot,
        guards: guard::shown(snapshot),
        policies: policies.iter().rev().map(|policy| (policy.name.as_str(), policy)).collect(),
        left_out: page.left_out,
    };
    for own in TABLE.iter().flat_map(|(_, families)| families.iter()) {
        let name = format!("{}{}", own.name, own.kind.suffix());
        (own.write)(&source, &mut Samples { page, own, name, labels: String::new(), begun: false });
    }
}

/// Where the samples of one metric go.
struct Samples<'a> {
    page: &'a mut Page,
    own: &'a Own,
    name: String,
    labels: String,
    begun: bool,
}

impl Samples<'_> {
    /// A sample with these label values.
    fn put(&mut self, values: &[&str], n: u64) {
        self.begin(values);
        self.page.int(&self.name, &self.labels, n);
    }

    /// A sample of a value with a fraction.
    fn put_float(&mut self, values: &[&str], x: f64) {
        self.begin(values);
        self.page.float(&self.name, &self.labels, x);
    }

    /// A histogram with these label values.
    fn put_histogram(&mut self, values: &[&str], histogram: &Histogram) {
        self.begin(values);
        self.page.histogram(self.own.name, &self.labels, histogram, Ladder::of(self.own.name));
    }

    fn begin(&mut self, values: &[&str]) {
        debug_assert_eq!(values.len(), self.own.labels.len());
        if !std::mem::replace(&mut self.begun, true) {
            let Own { name, kind, unit, help, .. } = *self.own;
            self.page.header(&Header { base: name, kind, unit, help });
        }
        self.labels.clear();
        for (name, value) in self.own.labels.iter().zip(values) {
            self.labels.push_str(if self.labels.is_empty() { "" } else { "," });
            self.labels.push_str(name);
            self.labels.push_str("=\"");
            escape(value, &mut self.labels);
            self.labels.push('"');
        }
    }
}
