//! All figures of a segment at once, for exporters. Writers go on meanwhile. **Cold.**

use super::histogram::Histogram;
use crate::guard::cell::GuardCell;
use crate::guard::numbers::{Block, NO_RULES};
use crate::guard::stats::{self, GuardStats};
use crate::runtime::Shared;
use crate::segment::directory::{Cell, Directory, Kind};
use crate::slot::lane::{RunPlace, each_run};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::*;

/// What a series holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's sum.
    Counter(u64),
    /// A gauge's value.
    Gauge(f64),
    /// A histogram's buckets.
    Histogram(Histogram),
}

/// One metric with its series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Family {
    /// One sentence for people.
    pub help: String,
    /// Unit, or empty.
    pub unit: String,
    /// Labels as they are exposed (`a="b",c="d"`) and value, sorted by labels.
    pub series: Vec<(String, Value)>,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The users' metrics by name.
    pub families: BTreeMap<String, Family>,
    /// Guards by name.
    pub guards: BTreeMap<String, GuardStats>,
    /// Version of the rules in force.
    pub rules_version: u64,
    /// How often each kind of cell found no room: guard, counter, gauge, histogram.
    pub overflowed: [u64; 4],
    /// Bytes of the segment, and of them handed out.
    pub segment_bytes: (u64, u64),
    /// Jumps of the clock.
    pub clock_jumps: u64,
    /// Dead processes whose share was taken back.
    pub reaped: u64,
    /// Exits of what never was a permit, in this process.
    pub nameless_exits: u64,
}

impl Shared {
    pub(crate) fn snapshot(&self) -> crate::error::Result<Snapshot> {
        self.reap_dead_for_snapshot()?;
        let _locked = self.lock_directory()?;
        let (segment, header) = (self.segment(), self.segment().header());
        let overflowed = [Kind::Guard, Kind::Counter, Kind::Gauge, Kind::Histogram];
        let mut snapshot = Snapshot {
            rules_version: header.rules_version.load(Acquire),
            overflowed: overflowed.map(|kind| header.overflowed[kind as usize].load(Relaxed)),
            segment_bytes: (segment.bytes(), segment.used_bytes()),
            clock_jumps: header.clock.epoch.load(Relaxed),
            reaped: header.reaped.load(Relaxed),
            nameless_exits: crate::guard::exit::nameless_exits(),
            ..Snapshot::default()
        };
        self.collect(&mut snapshot);
        Ok(snapshot)
    }

    /// One walk over the directory.
    fn collect(&self, snapshot: &mut Snapshot) {
        let directory = Directory(self.segment());
        let side = (self.segment().header().rules_turn.load(Acquire) & 1) as usize;
        directory.each_of_any(|kind, found, cell| match kind {
            Kind::Counter | Kind::Gauge | Kind::Histogram => {
                let (family, labels) = split(directory.name_text(cell));
                let series = (labels.to_owned(), self.value_of(kind, found.generation, cell));
                family_of(snapshot, family).series.push(series);
            }
            Kind::Family => {
                let extra = directory.extra(cell);
                let help = (cell.words[0].load(Relaxed) >> 8) as usize;
                let (help, unit) = extra.split_at_checked(help).unwrap_or((&extra, ""));
                let family = family_of(snapshot, directory.name_text(cell));
                (family.help, family.unit) = (help.into(), unit.into());
            }
            Kind::Guard => {
                let Some(guard) = self.segment().at::<GuardCell>(found.at) else { return };
                let block = self.segment().at::<Block>(cell.words[side].load(Acquire) as u32).unwrap_or(&NO_RULES);
                snapshot.guards.insert(directory.name(cell), stats::read(self.segment(), found, guard, block));
            }
            Kind::Attribute => {}
        });
        for family in snapshot.families.values_mut() {
            family.series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        }
    }

    fn value_of(&self, kind: Kind, generation: u32, cell: &Cell) -> Value {
        let place = RunPlace(cell.run.load(Relaxed));
        match kind {
            Kind::Counter => {
                let mut sum = 0u64;
                each_run(self.segment(), place, 2, generation, |_, run| sum = sum.wrapping_add(run[1].load(Relaxed)));
                Value::Counter(sum)
            }
            Kind::Histogram => {
                let mut values = Histogram::default();
                let words = super::instrument::HISTOGRAM_RUN;
                each_run(self.segment(), place, words, generation, |_, run| values.add(self.segment(), run, 1));
                Value::Histogram(values)
            }
            _ => Value::Gauge(f64::from_bits(cell.words[0].load(Acquire))),
        }
    }
}

/// The family of this name, which its series may come before.
fn family_of<'a>(snapshot: &'a mut Snapshot, name: &str) -> &'a mut Family {
    snapshot.families.entry(name.to_owned()).or_default()
}

/// `name{labels}` taken apart.
fn split(series: &str) -> (&str, &str) {
    match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap_or(labels)),
        None => (series, ""),
    }
}
