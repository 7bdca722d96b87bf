//! A thread's place in each runtime that it uses, found without a lock: one look at a thread-local.

use super::shared::Shared;
use super::word_of_thread;
use crate::clock::page::OwnAnchor;
use crate::fork::{self, Stamp};
use crate::guard::known::{GUARDS, Known};
use crate::metrics::instrument::{COUNTER_RUN, HISTOGRAM_RUN};
use crate::metrics::known::{KnownHistogram, KnownSeries};
use crate::segment::View;
use crate::slot::lane::{Lane, PAGE_WORDS, Page, Run, RunPlace};
use crate::slot::thread;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Counters that a thread remembers, each at its index modulo this; and as many histograms.
const SERIES: usize = 128;

/// What is counted when a lane has no room for a page.
static VOID: Page = Page([const { AtomicU64::new(0) }; PAGE_WORDS]);

/// A thread's place in one runtime.
pub struct Local {
    runtime: u64,
    /// Of the process that it is of.
    stamp: Stamp,
    /// The process's token, that permits name.
    pub token: u64,
    process: Option<usize>,
    slot: usize,
    lane: Option<Lane>,
    view: View,
    owner: *const Shared,
    /// The thread's copy of the clock's anchor.
    anchor: OwnAnchor,
    guards: Box<[Known; GUARDS]>,
    counters: [KnownSeries<COUNTER_RUN>; SERIES],
    histograms: Box<[KnownHistogram<HISTOGRAM_RUN>; SERIES]>,
}

thread_local! {
    #[expect(clippy::vec_box, reason = "a place is pointed to, and must not move when the list grows")]
    static ALL: RefCell<Vec<Box<Local>>> = const { RefCell::new(Vec::new()) };
    /// How many callbacks this thread is in.
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
}

/// Calls what may close runtimes and use others, amid a call that goes on with this thread's places: none is dropped
/// meanwhile.
pub(crate) fn keeping_places<T>(then: impl FnOnce() -> T) -> T {
    struct Left;
    impl Drop for Left {
        fn drop(&mut self) {
            let _ = CALLBACKS.try_with(|depth| depth.set(depth.get() - 1));
        }
    }
    let entered = CALLBACKS.try_with(|depth| depth.set(depth.get() + 1));
    let _left = entered.ok().map(|()| Left);
    then()
}

/// This thread's own place in the runtime that it used last. **Hot.** None before its first call, and after a fork.
#[inline(always)]
pub fn latest() -> Option<&'static Local> {
    // SAFETY: 0, or a place that lives as long as this thread; and that is taken away before the place is dropped.
    let local = unsafe { (word_of_thread::get() as *const Local).as_ref() };
    local.filter(|local| local.stamp.holds())
}

/// This thread's place in a runtime.
pub fn current(shared: &'static Shared) -> &'static Local {
    match latest().filter(|local| local.runtime == shared.id) {
        Some(local) => local,
        None => find(shared),
    }
}

#[cold]
fn find(shared: &'static Shared) -> &'static Local {
    let epoch = fork::epoch();
    let found = ALL.try_with(|all| {
        let mut all = all.try_borrow_mut().ok()?;
        if CALLBACKS.try_with(Cell::get) == Ok(0) {
            all.retain(|local| !local.is_of_closed_runtime());
        }
        let known = all.iter().position(|local| local.runtime == shared.id && local.stamp.epoch() == epoch);
        let index = known.unwrap_or_else(|| {
            all.push(Box::new(Local::new(shared)));
            all.len() - 1
        });
        let local = std::ptr::from_ref(&*all[index]);
        word_of_thread::set(local as usize);
        Some(local)
    });
    match found {
        // SAFETY: boxed, and dropped only with the thread or its closed runtime.
        Ok(Some(local)) => unsafe { &*local },
        // The thread is ending, or a signal handler came in between.
        _ => shared.fallback(),
    }
}

impl Local {
    fn new(shared: &'static Shared) -> Local {
        let (token, process) = shared.attachment().unwrap_or((0, None));
        let slot = thread::take(shared.segment(), process);
        Local::at(shared, token, process, slot)
    }

    /// The place of threads that have none: on the lane that is shared.
    pub(super) fn fallback(shared: &Shared) -> Local {
        let (token, _) = shared.attachment().unwrap_or((0, None));
        Local::at(shared, token, None, thread::shared(shared.segment()))
    }

    fn at(shared: &Shared, token: u64, process: Option<usize>, slot: usize) -> Local {
        Local {
            runtime: shared.id,
            stamp: Stamp::now(),
            token,
            process,
            slot,
            lane: Lane::new(shared.segment(), slot),
            view: shared.segment().view(),
            owner: shared,
            anchor: OwnAnchor::default(),
            guards: all(Known::nothing),
            counters: [const { KnownSeries::nothing() }; SERIES],
            histograms: all(KnownHistogram::nothing),
        }
    }

    fn shared(&self) -> &Shared {
        // SAFETY: runtimes are never freed.
        unsafe { &*self.owner }
    }

    fn is_of_closed_runtime(&self) -> bool {
        self.shared().is_closed()
    }

    /// The run of a cell in this thread's lane. Without room for it, a page that nobody reads: decisions go on,
    /// figures are lost.
    pub fn run(&self, place: RunPlace, words: usize, life: &AtomicU32, generation: u32) -> Run<'_> {
        match self.lane.as_ref().and_then(|lane| lane.run(place, words, life, generation)) {
            Some(run) => run,
            None => Run::unread(&VOID),
        }
    }

    /// How much has changed in its segment.
    #[inline(always)]
    pub(crate) fn changes(&self) -> u64 {
        self.view.header().changes.load(Acquire)
    }

    /// Now, by the thread's own copy of the clock's anchor, when its counter reads `ticks`.
    #[inline(always)]
    pub(crate) fn time_of(&self, ticks: u64) -> u64 {
        self.view.header().clock.at(ticks, &self.anchor)
    }

    /// The same; None: its copy has to be renewed, which [`Local::time_of`] does.
    #[inline(always)]
    pub(crate) fn time_at_once(&self, ticks: u64) -> Option<u64> {
        self.view.header().clock.at_once(ticks, &self.anchor)
    }

    /// What the thread remembers of the guard that is remembered at this place, or of another whose place it is too.
    #[inline(always)]
    pub(crate) fn known(&self, at: u16) -> &Known {
        &self.guards[at as usize / size_of::<Known>() % GUARDS]
    }

    /// What it remembers of the counter of an index, likewise.
    #[inline(always)]
    pub(crate) fn known_counter(&self, index: u32) -> &KnownSeries<COUNTER_RUN> {
        &self.counters[index as usize % SERIES]
    }

    /// What it remembers of the histogram of an index, likewise.
    #[inline(always)]
    pub(crate) fn known_histogram(&self, index: u32) -> &KnownHistogram<HISTOGRAM_RUN> {
        &self.histograms[index as usize % SERIES]
    }

    /// Touches what the first call would.
    pub fn prepare(&self, shared: &Shared) {
        crate::clock::Clock(&shared.segment().header().clock).now();
    }
}

/// N memories of nothing, on the heap one by one: all together are too large for the stack of a small thread.
fn all<T, const N: usize>(nothing: impl Fn() -> T) -> Box<[T; N]> {
    let all: Box<[T]> = (0..N).map(|_| nothing()).collect();
    all.try_into().unwrap_or_else(|_| unreachable!("there are so many"))
}

impl Drop for Local {
    fn drop(&mut self) {
        if word_of_thread::get() == std::ptr::from_ref(self) as usize {
            word_of_thread::set(0);
        }
        let Some(process) = self.process else { return };
        if self.stamp.epoch() == fork::epoch() && !self.is_of_closed_runtime() {
            thread::give_back(self.shared().segment(), self.slot, process);
        }
    }
}
