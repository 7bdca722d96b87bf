//! A process's handle to a counted breaker ([`super::counts`]): with a name, it is that of all processes on the segment who
//! resolve the name; without one, the process's own.

use super::counts::{Counted, Denied, Ending, Moved, Rule, Snapshot, Standing, Ticket};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Shared;
use crate::segment::directory::{Cell, Found};
use crate::segment::{Offset, Segment, View};
use std::sync::atomic::{AtomicU64, Ordering::*};

const LIVE: u64 = u64::from_le_bytes(*b"tg_break");
/// Words of a table before the breaker's: the rule.
pub(crate) const RULE_WORDS: usize = 4;

/// A counted breaker as this process knows it; never unmapped. All methods may be called by many threads at once.
#[repr(align(64))]
pub struct CountedBreaker {
    shared: &'static Shared,
    rule: Rule,
    words: &'static [AtomicU64],
    home: Option<Home>,
    /// [`LIVE`] until the handle ends.
    mark: AtomicU64,
}

/// Where one with a name lives.
struct Home {
    view: &'static View,
    cell: *const Cell,
    found: Found,
}

// SAFETY: the cell is reached only through atomics, and its mapping stays for ever.
unsafe impl Send for CountedBreaker {}
// SAFETY: as above.
unsafe impl Sync for CountedBreaker {}

impl CountedBreaker {
    /// One of the process's own.
    pub(crate) fn own(shared: &'static Shared, rule: Rule) -> &'static CountedBreaker {
        let words = Box::leak((0..rule.words()).map(|_| AtomicU64::new(0)).collect::<Box<[_]>>());
        Box::leak(Box::new(CountedBreaker { shared, rule, words, home: None, mark: AtomicU64::new(LIVE) }))
    }

    /// The one in a cell that was found, by the rule that stands there.
    pub(crate) fn leak(shared: &'static Shared, found: Found) -> Option<&'static CountedBreaker> {
        let cell = shared.segment().at::<Cell>(found.at)?;
        let (at, count) = table_of(cell);
        // Leaked as the handle is.
        let view: &'static View = Box::leak(Box::new(shared.segment().view()));
        let (rule, words) = view.words(at, count)?.split_first_chunk::<RULE_WORDS>()?;
        let rule = read_rule(rule);
        let words = words.get(..rule.words())?;
        let home = Some(Home { view, cell, found });
        Some(Box::leak(Box::new(CountedBreaker { shared, rule, words, home, mark: AtomicU64::new(LIVE) })))
    }

    /// Whether the runtime is open and the breaker not retired.
    #[inline]
    pub fn is_alive(&self) -> bool {
        // SAFETY: checked when the handle was made; the mapping is never unmapped, only replaced by zeros.
        let stands = |home: &Home| unsafe { &*home.cell }.generation.load(Acquire) == home.found.generation;
        self.mark.load(Acquire) == LIVE && self.home.as_ref().map_or_else(|| !self.shared.is_closed(), stands)
    }

    /// The settings that it goes by.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The words that it lives in, which a binding may use by the transitions of [`super::counts`] and [`super::rolling`].
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }

    /// Asks for one call. **Hot.**
    ///
    /// # Errors
    /// `Closed`.
    #[inline(always)]
    pub fn ask(&self) -> std::result::Result<(std::result::Result<Ticket, Denied>, Moved), ErrorKind> {
        let (breaker, now) = self.counted()?;
        Ok(breaker.ask(now))
    }

    /// Says how a call ended; see [`Counted::end`]. **Hot.**
    ///
    /// # Errors
    /// `Closed`.
    #[inline(always)]
    pub fn end(&self, ticket: Ticket, ending: Ending) -> std::result::Result<(Option<Snapshot>, Moved), ErrorKind> {
        let (breaker, now) = self.counted()?;
        Ok(breaker.end(ticket, ending, now))
    }

    /// Opens it, if it is closed and in this generation still. **Hot.**
    ///
    /// # Errors
    /// `Closed`.
    pub fn trip(&self, generation: u64) -> std::result::Result<Moved, ErrorKind> {
        let (breaker, now) = self.counted()?;
        Ok(breaker.trip(generation, now))
    }

    /// Where it stands and what it has counted. **Hot.**
    ///
    /// # Errors
    /// `Closed`.
    pub fn counts(&self) -> std::result::Result<(Snapshot, Moved), ErrorKind> {
        let (breaker, now) = self.counted()?;
        Ok(breaker.snapshot(now))
    }

    /// Ends it: with a name, for all processes; its room is used again. **Cold.**
    ///
    /// # Errors
    /// `Closed`: it has ended.
    pub fn retire(&self) -> Result<()> {
        self.shared.retire_breaker(self)
    }

    pub(crate) fn found(&self) -> Option<Found> {
        self.home.as_ref().map(|home| home.found)
    }

    /// True: it was alive.
    pub(crate) fn mark_dead(&self) -> bool {
        self.mark.swap(0, AcqRel) == LIVE
    }

    #[inline(always)]
    fn counted(&self) -> std::result::Result<(Counted<'_, AtomicU64>, u64), ErrorKind> {
        if !self.is_alive() {
            return Err(ErrorKind::Closed);
        }
        let now = match &self.home {
            Some(home) => home.view.header().clock.now(),
            None => self.shared.clock().now(),
        };
        Counted::new(self.rule, self.words).map(|breaker| (breaker, now)).ok_or(ErrorKind::Internal)
    }
}

/// Where the breaker in a cell stands at `now`. Changes nothing. **Cold.**
pub(crate) fn standing(segment: &Segment, cell: &Cell, now: u64) -> Option<Standing> {
    let (at, count) = table_of(cell);
    let view = segment.view();
    let (rule, words) = view.words(at, count)?.split_first_chunk::<RULE_WORDS>()?;
    Some(Standing::of(words.first()?.load(Acquire)).at(&read_rule(rule), now))
}

/// Place and words of the table of a cell.
pub(crate) fn table_of(cell: &Cell) -> (Offset, usize) {
    let [at, words] = cell.words.each_ref().map(|word| word.load(Acquire));
    (at as Offset, words as usize)
}

/// Puts a rule before the breaker's words.
pub(crate) fn write_rule(words: &[AtomicU64], rule: &Rule) {
    words.iter().zip(rule.numbers()).for_each(|(to, from)| to.store(from, Relaxed));
}

fn read_rule(words: &[AtomicU64; RULE_WORDS]) -> Rule {
    Rule::of(words.each_ref().map(|word| word.load(Relaxed)))
}

impl Shared {
    /// Fails where a breaker of this name goes by another rule.
    pub(crate) fn same_rule(is: &Rule, wanted: &Rule) -> Result<()> {
        let other =
            || Error::new(ErrorKind::Conflict, "the breaker of this name goes by other options; retire it first");
        if is == wanted { Ok(()) } else { Err(other()) }
    }
}
