//! The clock page: how to turn a counter reading into nanoseconds.
//!
//! A ring of anchors, each written once by whoever claims it and published by one store. A reader takes
//! the current one and checks that it still is; a writer that dies half-way leaves its anchor claimed,
//! and the next writer takes the one after.

use super::tsc;
use crate::word::update;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*, compiler_fence};

const RING: u64 = 8;
/// In `current`: time is virtual, and the rest is the time, in one word, so that whoever dies while he moves it leaves one time.
const VIRTUAL: u64 = 1 << 63;
/// A `current` of virtual time from 2⁶³ - 1 ns on, which stands in `far_ns`. No thread keeps a copy of it.
const FAR: u64 = u64::MAX;
/// In an anchor's version: somebody is writing it.
const WRITING: u64 = 1 << 63;
/// An anchor serves this long.
const ANCHOR_NS: u64 = 1_000_000_000;
/// A deviation over this is a jump (a suspended or migrated machine), not drift to be smoothed.
const JUMP_NS: u64 = 1_000_000;

/// The clock's words in the header.
#[repr(C, align(64))]
pub struct ClockPage {
    /// Number of the anchor in force (its place is the number modulo 8), or a time with [`VIRTUAL`]; 0: none, so
    /// every reading is one of `CLOCK_MONOTONIC`.
    current: AtomicU64,
    far_ns: AtomicU64,
    /// Counts jumps.
    pub epoch: AtomicU64,
    ring: [Anchor; RING as usize],
}

/// At counter reading `ticks` it was `ns`, and a tick lasts `scale` / 2³² ns.
#[repr(C, align(64))]
struct Anchor {
    version: AtomicU64,
    ticks: AtomicU64,
    ns: AtomicU64,
    scale: AtomicU64,
    /// Readings up to this many ticks later may use it.
    valid: AtomicU64,
}

#[derive(Clone, Copy)]
struct Line {
    ticks: u64,
    ns: u64,
    scale: u64,
}

/// A thread's own copy of the anchor in force: one look at the page tells that it still is.
#[derive(Default)]
pub struct OwnAnchor {
    number: Cell<u64>,
    ticks: Cell<u64>,
    ns: Cell<u64>,
    scale: Cell<u64>,
    valid: Cell<u64>,
}

impl OwnAnchor {
    fn copy(&self, number: u64, line: Line, valid: u64) {
        // A signal handler that calls in between finds a copy that is valid for no tick.
        self.valid.set(0);
        compiler_fence(SeqCst);
        self.number.set(number);
        self.ticks.set(line.ticks);
        self.ns.set(line.ns);
        self.scale.set(line.scale);
        compiler_fence(SeqCst);
        self.valid.set(valid);
    }
}

impl Line {
    /// The reading `ticks` of a line that is still in force: ticks × scale is then less than a second in 32.32, so 64 bits hold it.
    #[inline(always)]
    fn soon(&self, ticks: u64) -> u64 {
        self.ns.wrapping_add(ticks.wrapping_sub(self.ticks).wrapping_mul(self.scale) >> 32)
    }

    fn at(&self, ticks: u64) -> u64 {
        self.ns + ((u128::from(ticks.wrapping_sub(self.ticks)) * u128::from(self.scale)) >> 32) as u64
    }
}

impl ClockPage {
    /// Starts the clock of a new segment.
    pub fn start(&self, source: super::ClockSource) {
        match source {
            super::ClockSource::Virtual(ns) => self.current.store(self.virtual_at(ns), Release),
            super::ClockSource::Monotonic => self.start_counter(),
        }
    }

    fn start_counter(&self) {
        if let Some(scale) = tsc::scale() {
            self.publish(0, 1, Line { ticks: tsc::read(), ns: tsc::monotonic_ns(), scale });
        }
    }

    /// Starts afresh when the machine has booted since (the counter began anew), or this process's
    /// kernel does not trust the counter.
    pub fn restart(&self) {
        if self.current.load(Acquire) & VIRTUAL == 0 {
            self.current.store(0, Release);
            self.ring.iter().for_each(|anchor| anchor.version.store(0, Release));
            self.epoch.fetch_add(1, Relaxed);
            self.start_counter();
        }
    }

    /// Nanoseconds now.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        let current = self.current.load(Acquire);
        let anchor = &self.ring[(current % RING) as usize];
        let line =
            Line { ticks: anchor.ticks.load(Relaxed), ns: anchor.ns.load(Relaxed), scale: anchor.scale.load(Relaxed) };
        let valid = anchor.valid.load(Acquire);
        let ticks = tsc::read();
        // Version 0 is nobody's, so that a page that is not running never matches.
        let whole = anchor.version.load(Relaxed) == current && current != 0;
        if whole && ticks.wrapping_sub(line.ticks) < valid {
            return line.soon(ticks);
        }
        self.now_slow(current, ticks)
    }

    /// The nanoseconds of a reading of the counter that was made just now, by the calling thread's own copy.
    #[inline(always)]
    pub fn at(&self, ticks: u64, own: &OwnAnchor) -> u64 {
        self.at_once(ticks, own).unwrap_or_else(|| self.now_anew(own))
    }

    /// The same; None: the copy has to be renewed, which [`ClockPage::at`] does.
    #[inline(always)]
    pub fn at_once(&self, ticks: u64, own: &OwnAnchor) -> Option<u64> {
        let in_force = self.current.load(Acquire) == own.number.get();
        let holds = in_force && ticks.wrapping_sub(own.ticks.get()) < own.valid.get();
        holds.then(|| Line { ticks: own.ticks.get(), ns: own.ns.get(), scale: own.scale.get() }.soon(ticks))
    }

    /// Renews the copy, where there is an anchor to copy. Number 0, with a copy that is valid for no tick, is none.
    #[cold]
    fn now_anew(&self, own: &OwnAnchor) -> u64 {
        let now = self.now();
        let current = self.current.load(Acquire);
        if let Some(ns) = self.virtual_time(current) {
            if current != FAR {
                // Time that stands still: so that calls go the ways that they go by the machine's clock.
                own.copy(current, Line { ticks: 0, ns, scale: 0 }, u64::MAX);
            }
            return ns;
        }
        let valid = self.ring[(current % RING) as usize].valid.load(Acquire);
        if let Some(line) = self.anchor(current).filter(|_| current != 0) {
            own.copy(current, line, valid);
        }
        now
    }

    #[cold]
    fn now_slow(&self, current: u64, ticks: u64) -> u64 {
        if let Some(ns) = self.virtual_time(current) {
            return ns;
        }
        if current == 0 {
            return tsc::monotonic_ns();
        }
        match self.anchor(current) {
            // Another core's counter may lag by a few ticks.
            Some(line) if line.ticks.wrapping_sub(ticks) < 1 << 20 => line.ns,
            Some(line) => self.renew(current, line),
            None => tsc::monotonic_ns(),
        }
    }

    fn anchor(&self, current: u64) -> Option<Line> {
        let anchor = &self.ring[(current % RING) as usize];
        let line =
            Line { ticks: anchor.ticks.load(Acquire), ns: anchor.ns.load(Acquire), scale: anchor.scale.load(Acquire) };
        (anchor.version.load(Acquire) == current).then_some(line)
    }

    fn renew(&self, current: u64, old: Line) -> u64 {
        let (ticks, monotonic) = (tsc::read(), tsc::monotonic_ns());
        let (line, jumped) = next_line(old, ticks, monotonic);
        if self.publish(current, current + 1, line) && jumped {
            self.epoch.fetch_add(1, Relaxed);
        }
        line.ns
    }

    /// Writes `line` as anchor `number` (or a later one, when a writer died at that), and puts it in force
    /// instead of `current`. False when another was faster.
    fn publish(&self, current: u64, number: u64, line: Line) -> bool {
        let late = number.saturating_sub(current).max(1);
        let anchor = &self.ring[(number % RING) as usize];
        let before = anchor.version.load(Acquire);
        if before & WRITING != 0 {
            // Claimed by one that is slow or dead. Whoever holds it cannot publish any more once a later
            // anchor is in force.
            return late < RING && self.publish(current, number + 1, line);
        }
        if before >= number || anchor.version.compare_exchange(before, number | WRITING, AcqRel, Acquire).is_err() {
            return false;
        }
        anchor.ticks.store(line.ticks, Relaxed);
        anchor.ns.store(line.ns, Relaxed);
        anchor.scale.store(line.scale, Relaxed);
        let valid = (u128::from(ANCHOR_NS) << 32) / u128::from(line.scale.max(1));
        anchor.valid.store(valid as u64, Relaxed);
        anchor.version.store(number, Release);
        self.current.compare_exchange(current, number, AcqRel, Acquire).is_ok()
    }

    /// Moves virtual time; None when the clock is not virtual. Beyond 292 years, of several that move it at once only one may.
    pub fn set_virtual(&self, step: impl Fn(u64) -> u64) -> Option<()> {
        update(&self.current, |seen| {
            let now = self.virtual_time(seen).ok_or(())?;
            Ok::<_, ()>((self.virtual_at(step(now)), ()))
        })
        .ok()
    }

    /// The virtual time of a `current`; None: it is not virtual.
    fn virtual_time(&self, current: u64) -> Option<u64> {
        match current {
            FAR => Some(self.far_ns.load(Acquire)),
            near => (near & VIRTUAL != 0).then_some(near & !VIRTUAL),
        }
    }

    /// `current` at a virtual time.
    fn virtual_at(&self, ns: u64) -> u64 {
        if ns < !VIRTUAL {
            return VIRTUAL | ns;
        }
        self.far_ns.store(ns, Release);
        FAR
    }

    /// Whether time is virtual.
    #[inline]
    pub fn is_virtual(&self) -> bool {
        self.current.load(Acquire) & VIRTUAL != 0
    }
}

/// The line that goes on from `old` without a step and meets `monotonic` a second later; or, after a
/// jump, starts at it.
fn next_line(old: Line, ticks: u64, monotonic: u64) -> (Line, bool) {
    let predicted = old.at(ticks);
    let elapsed = monotonic.saturating_sub(old.ns);
    let error = monotonic as i64 - predicted as i64;
    let measured = tsc::ratio(elapsed, ticks.wrapping_sub(old.ticks)).filter(|_| elapsed > ANCHOR_NS / 2);
    let scale = measured.unwrap_or(old.scale);
    if error.unsigned_abs() > JUMP_NS {
        // Long idleness adds drift up; only an error beyond that is a jump.
        let jumped = error.unsigned_abs() > JUMP_NS + elapsed / 1000;
        return (Line { ticks, ns: monotonic, scale: if jumped { old.scale } else { scale } }, jumped);
    }
    let correction = (i128::from(error) << 32) / i128::from(ANCHOR_NS);
    let slewed = (i128::from(scale) * ((1 << 32) + correction)) >> 32;
    (Line { ticks, ns: predicted, scale: slewed as u64 }, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: u64 = 1 << 31; // 2 GHz

    #[test]
    fn drift_is_smoothed_without_a_step() {
        let old = Line { ticks: 0, ns: 1_000, scale: SCALE };
        let ticks = 2_000_000_000;
        let (line, jumped) = next_line(old, ticks, 1_000_001_000 + 5_000);
        assert!(!jumped);
        assert_eq!(line.ns, old.at(ticks), "time goes on where it was");
        let later = line.at(ticks + 2_000_000_000);
        let ahead = later as i64 - (2_000_001_000 + 10_000);
        assert!(ahead.abs() < 100, "a second later it meets the monotonic clock, off by {ahead}");
    }

    #[test]
    fn a_jump_steps() {
        let old = Line { ticks: 0, ns: 0, scale: SCALE };
        let (line, jumped) = next_line(old, 2_000_000_000, 3_600_000_000_000);
        assert!(jumped);
        assert_eq!(line.ns, 3_600_000_000_000);
        let (line, jumped) = next_line(Line { ns: 10_000_000_000, ..old }, 2_000_000_000, 1_000_000_000);
        assert!(jumped);
        assert_eq!(line.ns, 1_000_000_000);
    }

    #[test]
    fn virtual_time_is_any_number_and_copies_follow_it() {
        // SAFETY: atomics, valid as zeros.
        let (page, own): (ClockPage, _) = (unsafe { std::mem::zeroed() }, OwnAnchor::default());
        page.start(crate::clock::ClockSource::Virtual(7));
        let late = !VIRTUAL;
        for ns in [7, 0, 5, 5, late - 1, late, late + 1, u64::MAX, u64::MAX - 1, late - 1, 3] {
            page.set_virtual(|_| ns).unwrap();
            assert_eq!([page.now(), page.at(1, &own), page.at(u64::MAX, &own)], [ns; 3]);
            assert_eq!(page.at_once(9, &own), (ns < late).then_some(ns), "{ns}");
        }
        page.set_virtual(|now| now.saturating_add(u64::MAX)).unwrap();
        assert_eq!((page.now(), page.is_virtual()), (u64::MAX, true));
    }

    #[test]
    fn a_threads_copy_follows_the_anchor() {
        // SAFETY: atomics, valid as zeros.
        let page: Box<ClockPage> = Box::new(unsafe { std::mem::zeroed() });
        let own = OwnAnchor::default();
        let line = |ns| Line { ticks: tsc::read(), ns, scale: SCALE };
        assert!(page.publish(0, 1, line(1_000)));
        let first = page.at(tsc::read(), &own);
        assert!(first >= 1_000, "{first}");
        assert_eq!(own.number.get(), 1);
        let ticks = own.ticks.get() + 8_000;
        assert_eq!(page.at(ticks, &own), 1_000 + 4_000);
        assert!(page.publish(1, 2, line(2_000_000_000)));
        assert!(page.at(tsc::read(), &own) >= 2_000_000_000, "another anchor is in force");
        page.start(crate::clock::ClockSource::Virtual(7));
        assert_eq!(page.at(tsc::read(), &own), 7);
    }

    #[test]
    fn a_writer_that_died_is_passed_over() {
        // SAFETY: atomics, valid as zeros.
        let page: Box<ClockPage> = Box::new(unsafe { std::mem::zeroed() });
        let line = |ns| Line { ticks: tsc::read(), ns, scale: SCALE };
        assert!(page.publish(0, 1, line(5)));
        page.ring[2].version.store(2 | WRITING, Relaxed);
        assert!(page.publish(1, 2, line(77)));
        assert_eq!(page.current.load(Relaxed), 3);
        assert_eq!(page.anchor(3).map(|line| line.ns), Some(77));
        for turn in 3..40 {
            assert!(page.publish(page.current.load(Relaxed), page.current.load(Relaxed) + 1, line(turn)));
        }
    }
}
