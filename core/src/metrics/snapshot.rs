//! All figures of a segment at once, for exporters. Writers go on meanwhile. **Cold.**

use super::histogram::Histogram;
use crate::breaker::handle;
use crate::breaker::state::State;
use crate::guard::cell::GuardCell;
use crate::guard::numbers::{Block, NO_RULES};
use crate::guard::stats::{self, GuardStats};
use crate::limiter::figures::{self, LimiterFigures};
use crate::runtime::Shared;
use crate::segment::directory::{Cell, Directory, Found, Kind};
use crate::slot::lane::{RunPlace, each_run};
use crate::system::gate::Load;
use std::collections::{BTreeMap, HashMap};
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
    /// Labels as they are exposed (`a="b",c="d"`) and value, in an order that stays while series stay.
    pub series: Vec<(String, Value)>,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The users' metrics by name.
    pub families: BTreeMap<String, Family>,
    /// Guards by name.
    pub guards: BTreeMap<String, GuardStats>,
    /// Limiters that stand alone, by name.
    pub limiters: BTreeMap<String, LimiterFigures>,
    /// Where counted breakers stand, by name.
    pub breakers: BTreeMap<String, State>,
    /// Version of the rules in force.
    pub rules_version: u64,
    /// How often each kind of cell found no room: guard, counter, gauge, histogram.
    pub overflowed: [u64; 4],
    /// Bytes of the segment, and of them handed out.
    pub segment_bytes: (u64, u64),
    /// CPU and memory of the container, as last sampled; 0 is not known.
    pub load: Load,
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
            load: self.load(),
            clock_jumps: header.clock.epoch.load(Relaxed),
            reaped: header.reaped.load(Relaxed),
            nameless_exits: crate::guard::exit::nameless_exits(),
            ..Snapshot::default()
        };
        self.collect(&mut snapshot);
        Ok(snapshot)
    }

    /// One walk over the directory, and one over its cells in the order of their places: what was made together lies
    /// together.
    fn collect(&self, snapshot: &mut Snapshot) {
        let directory = Directory(self.segment());
        let mut cells = Vec::new();
        directory.each_of_any(|kind, found, cell| cells.push((found, kind, cell)));
        cells.sort_unstable_by_key(|(found, ..)| found.at);
        let mut families = HashMap::new();
        for (found, kind, cell) in cells {
            match kind {
                Kind::Counter | Kind::Gauge | Kind::Histogram => {
                    let (_, family): &mut (&str, Family) = families.entry(cell.link.load(Relaxed)).or_default();
                    let labels = labels_of(directory.name_text(cell)).to_owned();
                    family.series.push((labels, self.value_of(kind, found.generation, cell)));
                }
                Kind::Family => {
                    let (name, family) = families.entry(found.at).or_default();
                    *name = directory.name_text(cell);
                    describe(family, &directory.extra(cell), cell);
                }
                Kind::Guard => self.collect_guard(snapshot, directory.name(cell), found, cell),
                Kind::Limiter => {
                    let figures = figures::read(self.segment(), found.at, self.clock().now());
                    snapshot.limiters.extend(figures.map(|figures| (directory.name(cell), figures)));
                }
                Kind::Breaker => {
                    let standing = handle::standing(self.segment(), cell, self.clock().now());
                    snapshot.breakers.extend(standing.map(|standing| (directory.name(cell), standing.state)));
                }
                Kind::Attribute => {}
            }
        }
        let named = families.into_values().filter(|(name, _)| !name.is_empty());
        snapshot.families = named.map(|(name, family)| (name.to_owned(), family)).collect();
    }

    fn collect_guard(&self, snapshot: &mut Snapshot, name: String, found: Found, cell: &Cell) {
        let Some(guard) = self.segment().at::<GuardCell>(found.at) else { return };
        let side = (self.segment().header().rules_turn.load(Acquire) & 1) as usize;
        let block = self.segment().at::<Block>(cell.words[side].load(Acquire) as u32).unwrap_or(&NO_RULES);
        snapshot.guards.insert(name, stats::read(self.segment(), found, guard, block, self.clock().now()));
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

/// A family's help and unit, from the extra text of its cell.
fn describe(family: &mut Family, extra: &str, cell: &Cell) {
    let help = (cell.words[0].load(Relaxed) >> 8) as usize;
    let (help, unit) = extra.split_at_checked(help).unwrap_or((extra, ""));
    (family.help, family.unit) = (help.into(), unit.into());
}

/// The labels in `name{labels}`.
fn labels_of(series: &str) -> &str {
    let labels = series.split_once('{').map_or("", |(_, labels)| labels);
    labels.strip_suffix('}').unwrap_or(labels)
}
