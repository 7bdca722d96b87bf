//! Under which name a user's metric is exposed, and which names are taken.

use crate::page::Kind;
use std::collections::HashSet;

/// The prefix of the runtime's own metrics.
const OWN: &str = "tidegate_";

/// The name and unit of a user's metric as they are exposed.
#[derive(Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The name without `_total`, ending in the unit.
    pub base: String,
    /// The unit, or empty.
    pub unit: String,
}

impl Exposed {
    /// The exposed name; None: it is not a metric's name, or one of the runtime's own.
    ///
    /// `_total` is taken off a counter's name (its samples get it back), then the unit is put on where the name does
    /// not end in it. What OpenMetrics does not allow in a unit becomes `_`.
    pub fn of(name: &str, kind: Kind, unit: &str) -> Option<Self> {
        let unit = plain_unit(unit);
        let stripped = name.strip_suffix(kind.suffix()).filter(|base| !base.is_empty());
        let mut base = stripped.unwrap_or(name).to_owned();
        let suffixed = base.strip_suffix(&unit).is_some_and(|rest| rest.ends_with('_'));
        if !unit.is_empty() && !suffixed {
            base = format!("{base}_{unit}");
        }
        (is_name(name) && !base.starts_with(OWN)).then_some(Exposed { base, unit })
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b':';
    name.bytes().all(plain) && name.bytes().next().is_some_and(|c| !c.is_ascii_digit())
}

fn plain_unit(unit: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    unit.chars().map(plain).collect::<String>().trim_matches('_').to_owned()
}

/// Names in use on the page. A scraper throws the whole page away when two families share a name, or a sample could
/// belong to either of two.
#[derive(Default)]
pub struct Taken {
    bases: HashSet<String>,
    /// Of samples, and of families in the older format.
    samples: HashSet<String>,
}

impl Taken {
    /// Takes the names of a family unless one of them is taken.
    pub fn take(&mut self, base: &str, kind: Kind) -> bool {
        let names: Vec<String> = suffixes(kind).iter().map(|suffix| format!("{base}{suffix}")).collect();
        let free = !self.bases.contains(base) && !names.iter().any(|name| self.samples.contains(name));
        if free {
            self.bases.insert(base.to_owned());
            self.samples.extend(names);
        }
        free
    }
}

/// What sample names of this kind may end in; `_created` is reserved by OpenMetrics though not written here.
fn suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter => &["_total", "_created"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::*;

    #[test]
    fn names_get_their_suffixes_once() {
        let cases = [
            ("jobs", Counter, "", "jobs", ""),
            ("jobs_total", Counter, "", "jobs", ""),
            ("_total", Counter, "", "_total", ""),
            ("jobs_total", Gauge, "", "jobs_total", ""),
            ("sent", Counter, "bytes", "sent_bytes", "bytes"),
            ("sent_bytes_total", Counter, "bytes", "sent_bytes", "bytes"),
            ("sent_total", Counter, "bytes", "sent_bytes", "bytes"),
            ("kilobytes", Gauge, "bytes", "kilobytes_bytes", "bytes"),
            ("seconds", Gauge, "seconds", "seconds_seconds", "seconds"),
            ("wait", Histogram, "seconds", "wait_seconds", "seconds"),
            ("speed", Gauge, "km/h", "speed_km_h", "km_h"),
            ("share", Gauge, "%", "share", ""),
            ("ns:jobs", Counter, "", "ns:jobs", ""),
        ];
        for (name, kind, unit, base, shown) in cases {
            let exposed = Exposed::of(name, kind, unit).unwrap();
            assert_eq!((exposed.base.as_str(), exposed.unit.as_str()), (base, shown), "{name} {unit}");
        }
    }

    #[test]
    fn what_is_no_name_is_not_exposed() {
        for (name, unit) in
            [("", ""), ("", "bytes"), ("1a", ""), ("a b", ""), ("a\n", ""), ("ä", ""), ("tidegate_x", "")]
        {
            assert_eq!(Exposed::of(name, Gauge, unit), None, "{name}");
        }
        assert_eq!(Exposed::of("tidegate", Gauge, "rules_version"), None);
    }

    #[test]
    fn clashes_are_seen_in_either_order() {
        let clashing = [
            ("jobs", Counter, "jobs", Gauge),
            ("jobs", Counter, "jobs_total", Gauge),
            ("jobs", Counter, "jobs_created", Gauge),
            ("wait", Histogram, "wait_count", Gauge),
            ("wait", Histogram, "wait_sum", Histogram),
            ("wait", Histogram, "wait_bucket", Histogram),
            ("wait", Histogram, "wait", Counter),
        ];
        for (first, kind, second, other) in clashing {
            for ((a, ka), (b, kb)) in [((first, kind), (second, other)), ((second, other), (first, kind))] {
                let mut taken = Taken::default();
                assert!(taken.take(a, ka));
                assert!(!taken.take(b, kb), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_only_looks_alike_is_free() {
        for (first, kind, second, other) in [
            ("orders", Counter, "orders_created", Counter),
            ("wait", Histogram, "wait_count", Counter),
            ("jobs", Gauge, "jobs_count", Gauge),
        ] {
            let mut taken = Taken::default();
            assert!(taken.take(first, kind) && taken.take(second, other), "{first} {second}");
        }
    }
}
