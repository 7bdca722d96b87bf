//! Counters, gauges and histograms: handles bound to one series, resolved once.
//!
//! A counter and a histogram are written by plain stores into the thread's own lane; a gauge is one shared word.

use super::histogram::{self, Histogram as Values};
use super::known::KnownHistogram;
use super::name;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Local, Shared, current, latest};
use crate::segment::View;
use crate::segment::directory::{Cell, Directory, Found, Kind};
use crate::segment::header::KINDS;
use crate::slot::lane::{Count, Own, Run, RunPlace, each_run};
use crate::word::update;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Words of a histogram's run: the tag, then the histogram.
pub const HISTOGRAM_RUN: usize = 16;
/// Words of a counter's run: the tag, then the sum.
pub const COUNTER_RUN: usize = 2;
const VALUE: usize = 1;
const VALUES: usize = 1;

const _: () = assert!(VALUES + histogram::WORDS <= HISTOGRAM_RUN);

/// Series of one metric; label sets beyond share one that says so.
pub const MAX_SERIES: u64 = 2000;
/// The labels of that one, named as OpenTelemetry does.
pub const OVERFLOW_LABELS: &str = "otel_metric_overflow=\"true\"";

/// What an instrument is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Description<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// One sentence for people; the first that is given stays.
    pub help: &'a str,
    /// The unit as in OpenMetrics ("seconds", "bytes"), or empty.
    pub unit: &'a str,
    /// Labels of this series, in any order.
    pub labels: &'a [(&'a str, &'a str)],
}

/// A generation that no cell has.
const ENDED: u32 = u32::MAX;
const LIVE: u64 = u64::from_le_bytes(*b"tg_serie");

/// A handle to one series. Never unmapped.
#[repr(align(64))]
pub struct Handle {
    shared: &'static Shared,
    cell: *const Cell,
    generation: u32,
    place: RunPlace,
    /// Where threads remember it.
    index: u32,
    /// The generation until the handle ends, then [`ENDED`].
    life: AtomicU32,
    /// [`LIVE`] plus the kind until the handle ends: what is not such a series will hardly say so.
    mark: AtomicU64,
    view: View,
    found: Found,
}

// SAFETY: the cell is reached only through atomics, and its mapping stays for ever.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// A counter: goes up only.
#[repr(transparent)]
pub struct Counter(Handle);

/// A gauge: goes up and down.
#[repr(transparent)]
pub struct Gauge(Handle);

/// A histogram of values that are not negative.
#[repr(transparent)]
pub struct Histogram(Handle);

impl Handle {
    #[inline(always)]
    fn cell(&self) -> &Cell {
        // SAFETY: checked when the handle was made; the mapping is never unmapped, only replaced by zeros.
        unsafe { &*self.cell }
    }

    fn alive(&self, kind: Kind) -> std::result::Result<(), ErrorKind> {
        match self.mark.load(Acquire).wrapping_sub(LIVE) {
            number if number != kind as u64 && number < KINDS as u64 => Err(ErrorKind::Invalid),
            number if number == kind as u64 && self.stands() => Ok(()),
            _ => Err(ErrorKind::Closed),
        }
    }

    /// The same of what surely is a series of its kind.
    #[inline(always)]
    fn stands(&self) -> bool {
        self.cell().generation.load(Acquire) == self.life.load(Acquire)
    }

    pub(crate) fn mark_dead(&self) {
        self.life.store(ENDED, Release);
        self.mark.store(0, Release);
    }

    /// The calling thread's run of N words, looked up.
    fn look_up<const N: usize>(&self, kind: Kind) -> std::result::Result<(&'static Local, Run<'static>), ErrorKind> {
        self.alive(kind)?;
        let local = current(self.shared);
        Ok((local, local.run(self.place, N, &self.cell().generation, self.generation)))
    }

    fn each_run(&self, kind: Kind, words: usize, mut see: impl FnMut(&[AtomicU64])) -> Result<()> {
        self.alive(kind).map_err(closed)?;
        each_run(self.shared.segment(), self.place, words, self.generation, |_, run| see(run));
        Ok(())
    }

    fn retire(&self, kind: Kind) -> Result<()> {
        self.alive(kind).map_err(closed)?;
        self.shared.retire_series(kind, self.found, self)
    }
}

impl Counter {
    /// Adds `n`. **Hot.**
    #[inline]
    pub fn add(&self, n: u64) -> std::result::Result<(), ErrorKind> {
        match self.known() {
            Some(run) => {
                run.add(VALUE, n);
                Ok(())
            }
            None => self.add_anew(n),
        }
    }

    /// The run that the calling thread remembers, when the series stands.
    #[inline(always)]
    fn known(&self) -> Option<Own<'static, COUNTER_RUN>> {
        let run = latest()?.known_counter(self.0.index).run(&self.0)?;
        self.0.stands().then_some(run)
    }

    #[cold]
    fn add_anew(&self, n: u64) -> std::result::Result<(), ErrorKind> {
        let (local, run) = self.0.look_up::<COUNTER_RUN>(Kind::Counter)?;
        if let Some(own) = run.own() {
            local.known_counter(self.0.index).learn(&self.0, own);
        }
        run.add(VALUE, n);
        Ok(())
    }

    /// The sum over all slots. **Cold.**
    pub fn value(&self) -> Result<u64> {
        let mut sum = 0u64;
        self.0.each_run(Kind::Counter, COUNTER_RUN, |run| sum = sum.wrapping_add(run[VALUE].load(Relaxed)))?;
        Ok(sum)
    }

    /// Takes the series out; its room is used again. **Cold.**
    pub fn retire(&self) -> Result<()> {
        self.0.retire(Kind::Counter)
    }
}

impl Gauge {
    /// Sets the value. **Hot.**
    #[inline]
    pub fn set(&self, value: f64) -> std::result::Result<(), ErrorKind> {
        self.0.alive(Kind::Gauge)?;
        self.0.cell().words[0].store(value.to_bits(), Release);
        Ok(())
    }

    /// Adds to the value. **Hot.**
    #[inline]
    pub fn add(&self, delta: f64) -> std::result::Result<(), ErrorKind> {
        self.0.alive(Kind::Gauge)?;
        update(&self.0.cell().words[0], |seen| Ok(((f64::from_bits(seen) + delta).to_bits(), ())))
    }

    /// The value.
    pub fn value(&self) -> Result<f64> {
        self.0.alive(Kind::Gauge).map_err(closed)?;
        Ok(f64::from_bits(self.0.cell().words[0].load(Acquire)))
    }

    /// Takes the series out; its room is used again. **Cold.**
    pub fn retire(&self) -> Result<()> {
        self.0.retire(Kind::Gauge)
    }
}

impl Histogram {
    /// Records a value that is finite and not negative. **Hot.**
    #[inline]
    pub fn record(&'static self, value: f64) -> std::result::Result<(), ErrorKind> {
        match self.known() {
            Some((known, run)) if histogram::record(&self.0.view, run, VALUES, value, &known.last) => Ok(()),
            Some(_) => Err(ErrorKind::Invalid),
            None => self.record_anew(value),
        }
    }

    /// What the calling thread remembers of it, and its run, when the series stands.
    #[inline(always)]
    fn known(&self) -> Option<(&'static KnownHistogram<HISTOGRAM_RUN>, Own<'static, HISTOGRAM_RUN>)> {
        let known = latest()?.known_histogram(self.0.index);
        let run = known.series.run(&self.0)?;
        self.0.stands().then_some((known, run))
    }

    #[cold]
    fn record_anew(&'static self, value: f64) -> std::result::Result<(), ErrorKind> {
        let (local, run) = self.0.look_up::<HISTOGRAM_RUN>(Kind::Histogram)?;
        if let Some(own) = run.own() {
            let known = local.known_histogram(self.0.index);
            known.series.learn(&self.0, own);
            known.last.learn(&self.0.view, own, VALUES);
        }
        if histogram::record_at_once(&self.0.view, run, VALUES, value) { Ok(()) } else { Err(ErrorKind::Invalid) }
    }

    /// What was recorded, over all slots. **Cold.**
    pub fn values(&self) -> Result<Values> {
        let mut values = Values::default();
        self.0.each_run(Kind::Histogram, HISTOGRAM_RUN, |run| values.add(self.0.shared.segment(), run, VALUES))?;
        Ok(values)
    }

    /// Takes the series out; its room is used again. **Cold.**
    pub fn retire(&self) -> Result<()> {
        self.0.retire(Kind::Histogram)
    }
}

impl Shared {
    pub(crate) fn counter(&'static self, what: &Description<'_>) -> Result<&'static Counter> {
        // SAFETY: transparent over Handle.
        self.series(Kind::Counter, what).map(|handle| unsafe { &*std::ptr::from_ref(handle).cast() })
    }

    pub(crate) fn gauge(&'static self, what: &Description<'_>) -> Result<&'static Gauge> {
        // SAFETY: transparent over Handle.
        self.series(Kind::Gauge, what).map(|handle| unsafe { &*std::ptr::from_ref(handle).cast() })
    }

    pub(crate) fn histogram(&'static self, what: &Description<'_>) -> Result<&'static Histogram> {
        // SAFETY: transparent over Handle.
        self.series(Kind::Histogram, what).map(|handle| unsafe { &*std::ptr::from_ref(handle).cast() })
    }

    fn series(&'static self, kind: Kind, what: &Description<'_>) -> Result<&'static Handle> {
        self.open_or_err()?;
        name::check_metric(what.name)?;
        name::check_text("help", what.help)?;
        name::check_text("unit", what.unit)?;
        let labels = name::label_text(what.labels)?;
        let key = (kind, series_name(what.name, &labels));
        let known = self.instrument(&key)?;
        if let Some(handle) = known.filter(|handle| handle.alive(kind).is_ok()) {
            return Ok(handle);
        }
        let found = self.find_or_make(kind, what, &labels)?;
        let overflow = (kind, series_name(what.name, OVERFLOW_LABELS));
        let shared_by_many = self.instrument(&overflow)?.filter(|handle| handle.found == found);
        if let Some(handle) = shared_by_many {
            return Ok(handle);
        }
        let key = if self.is_overflow(found, &overflow.1) { overflow } else { key };
        let handle = self.leak_handle(kind, found)?;
        self.remember_instrument(key, handle)?;
        Ok(handle)
    }

    fn is_overflow(&self, found: Found, name: &str) -> bool {
        let directory = Directory(self.segment());
        let locked = self.lock_directory();
        locked.is_ok() && directory.cell(found.at).is_some_and(|cell| directory.name_text(cell) == name)
    }

    fn leak_handle(&'static self, kind: Kind, found: Found) -> Result<&'static Handle> {
        let full = || Error::new(ErrorKind::Full, "the segment is full; open the runtime with more segment_bytes");
        static INDICES: AtomicU32 = AtomicU32::new(0);
        let cell = self.segment().at::<Cell>(found.at).ok_or_else(full)?;
        Ok(Box::leak(Box::new(Handle {
            shared: self,
            cell,
            generation: found.generation,
            place: RunPlace(cell.run.load(Relaxed)),
            index: INDICES.fetch_add(1, Relaxed),
            life: AtomicU32::new(found.generation),
            mark: AtomicU64::new(LIVE + kind as u64),
            view: self.segment().view(),
            found,
        })))
    }

    fn find_or_make(&self, kind: Kind, what: &Description<'_>, labels: &str) -> Result<Found> {
        let _locked = self.lock_directory()?;
        let directory = Directory(self.segment());
        let family = family(&directory, kind, what)?;
        let name = series_name(what.name, labels);
        if let Some(found) = directory.find(kind, &name) {
            return Ok(found);
        }
        let count = |cell: &Cell| cell.words[1].load(Relaxed);
        let family_cell = directory.cell(family.at);
        let room = family_cell.is_some_and(|cell| count(cell) < MAX_SERIES);
        let made = room.then(|| insert_series(&directory, kind, &name, family)).flatten();
        if let (Some(found), Some(cell)) = (made, family_cell) {
            cell.words[1].store(count(cell) + 1, Relaxed);
            return Ok(found);
        }
        if !room {
            self.segment().header().overflowed[kind as usize].fetch_add(1, Relaxed);
        }
        let overflow = series_name(what.name, OVERFLOW_LABELS);
        let found = directory.find(kind, &overflow).or_else(|| insert_series(&directory, kind, &overflow, family));
        found.ok_or_else(|| Error::new(ErrorKind::Full, "no room in the segment for another series"))
    }

    pub(crate) fn retire_series(&self, kind: Kind, found: Found, handle: &Handle) -> Result<()> {
        let locked = self.lock_directory()?;
        let directory = Directory(self.segment());
        handle.alive(kind).map_err(closed)?;
        let Some(cell) = directory.cell(found.at) else { return Ok(()) };
        let (name, family) = (directory.name(cell), cell.link.load(Relaxed));
        if directory.retire(found)
            && let Some(family) = directory.cell(family)
        {
            leave_family(&directory, family);
        }
        handle.mark_dead();
        drop(locked);
        self.forget_instrument(&(kind, name))
    }
}

/// A family goes with its last series.
fn leave_family(directory: &Directory<'_>, family: &Cell) {
    let left = family.words[1].load(Relaxed).saturating_sub(1);
    family.words[1].store(left, Relaxed);
    if left == 0
        && let Some(found) = directory.find(Kind::Family, directory.name_text(family))
    {
        directory.retire(found);
    }
}

fn insert_series(directory: &Directory<'_>, kind: Kind, name: &str, family: Found) -> Option<Found> {
    directory.insert(kind, name, "", |_, cell| {
        cell.link.store(family.at, Relaxed);
        cell.words.iter().for_each(|word| word.store(0, Relaxed));
    })
}

/// The family of a metric, made at its first series; it must be of the same kind.
fn family(directory: &Directory<'_>, kind: Kind, what: &Description<'_>) -> Result<Found> {
    if let Some(found) = directory.find(Kind::Family, what.name) {
        let is = directory.cell(found.at).map_or(0, |cell| cell.words[0].load(Relaxed) & 0xFF);
        if is != kind as u64 {
            let message = format!("metric {:?} is a {} already", what.name, kind_name(is));
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        return Ok(found);
    }
    let extra = format!("{}{}", what.help, what.unit);
    let made = directory.insert(Kind::Family, what.name, &extra, |_, cell| {
        cell.words[0].store(kind as u64 | (what.help.len() as u64) << 8, Relaxed);
        cell.words[1].store(0, Relaxed);
    });
    made.ok_or_else(|| Error::new(ErrorKind::Full, "no room in the segment for another metric"))
}

fn kind_name(kind: u64) -> &'static str {
    match kind {
        2 => "counter",
        3 => "gauge",
        _ => "histogram",
    }
}

fn series_name(name: &str, labels: &str) -> String {
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{labels}}}") }
}

fn closed(kind: ErrorKind) -> Error {
    let what = match kind {
        ErrorKind::Invalid => "the handle is of another kind of instrument",
        _ => "the runtime was closed or the series retired",
    };
    Error::new(kind, what)
}
