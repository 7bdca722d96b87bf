//! The users' metrics.

use crate::labels::are_well_formed;
use crate::ladder::Ladder;
use crate::names::{Exposed, Taken};
use crate::page::{Header, Kind, Page};
use std::collections::BTreeMap;
use tidegate_core::metrics::snapshot::{Family, Value};

/// Writes all families, in the order of their names; of those that clash, the first stays.
pub fn write(page: &mut Page, families: &BTreeMap<String, Family>) {
    let mut taken = Taken::default();
    for (name, family) in families {
        let Some((_, first)) = family.series.first() else { continue };
        let kind = Kind::of(first);
        let exposed = Exposed::of(name, kind, &family.unit);
        match exposed.filter(|exposed| taken.take(&exposed.base, kind)) {
            Some(exposed) => write_family(page, &exposed, kind, family),
            None => page.left_out += 1,
        }
    }
}

fn write_family(page: &mut Page, exposed: &Exposed, kind: Kind, family: &Family) {
    page.header(&Header { base: &exposed.base, kind, unit: &exposed.unit, help: &family.help });
    let sample = format!("{}{}", exposed.base, kind.suffix());
    let ladder = Ladder::of(&exposed.base);
    let mut previous = None;
    for (labels, value) in &family.series {
        if Kind::of(value) != kind || previous == Some(labels) || !are_well_formed(labels) {
            page.left_out += 1;
            continue;
        }
        previous = Some(labels);
        match value {
            Value::Counter(n) => page.int(&sample, labels, *n),
            Value::Gauge(value) => page.float(&sample, labels, *value),
            Value::Histogram(values) => page.histogram(&sample, labels, values, ladder),
        }
    }
}
