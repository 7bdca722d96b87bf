//! Which thread is where: the slots that let instances belong to threads without a lock.
//!
//! A thread takes a slot at its first policy call and gives it back when it ends. While it is in a
//! guest, its slot is *pinned* to the place of the generation it is in. Whoever wants to free
//! what is in a place first makes the place unreachable, then looks at every slot; a thread first
//! pins, then looks whether the place is still reachable. Both sides are sequentially consistent,
//! so one of the two sees the other.

use crate::error::PolicyError;
use crate::{altstack, stack, ticker};
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use tidegate_core::fork;

/// Threads that may call policies at once; further ones get no instance.
pub const THREADS_MAX: usize = 4096;
/// Pins a slot to no place: a guest runs on a cold path.
const COLD: usize = 1;

#[derive(Default)]
struct SlotWords {
    /// 0: free. Otherwise the fork epoch of the process whose thread has it; an older epoch is the
    /// parent's, and free as well.
    owned_in: AtomicU64,
    /// 0, or the address of the place that the thread is in.
    pinned: AtomicUsize,
    /// Counts the pins. Written by its owner alone.
    activity: AtomicU64,
}

static SLOTS: [CachePadded<SlotWords>; THREADS_MAX] = [const {
    CachePadded::new(SlotWords {
        owned_in: AtomicU64::new(0),
        pinned: AtomicUsize::new(0),
        activity: AtomicU64::new(0),
    })
}; THREADS_MAX];

/// Slots from this one on were never taken.
static NEVER_TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's slot.
    static SLOT: Cell<usize> = const { Cell::new(0) };
    /// The fork epoch in which it was taken; 0: none was.
    static TAKEN_IN: Cell<u64> = const { Cell::new(0) };
    /// The engine has initialised this thread.
    static INITIALISED: Cell<bool> = const { Cell::new(false) };
    static AT_END: GiveBack = const { GiveBack };
}

/// The calling thread's slot.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    index: usize,
    /// The fork epoch of this process.
    epoch: u64,
}

impl Slot {
    /// **Hot.** `None` when there is none to be had, or too little is left of the thread's stack.
    #[inline]
    pub fn own() -> Option<Self> {
        let epoch = fork::epoch();
        if TAKEN_IN.get() == epoch && stack::suffices_for_a_call() {
            return Some(Self { index: SLOT.get(), epoch });
        }
        take(epoch)
    }

    #[inline]
    pub fn index(self) -> usize {
        self.index
    }

    /// **Hot.** `None` when this thread is in a guest already, or no ticker is to be had.
    #[inline]
    pub fn pin(self, place: usize) -> Option<Pin> {
        let words = &SLOTS[self.index % THREADS_MAX];
        if words.pinned.load(Relaxed) != 0 {
            return None;
        }
        words.activity.store(words.activity.load(Relaxed).wrapping_add(1), Relaxed);
        // A swap, since a store would need a fence behind it, which costs more.
        words.pinned.swap(place, SeqCst);
        let pin = Pin(words);
        ticker::ensure_awake(self.epoch).then_some(pin)
    }
}

/// Holds the calling thread's slot to a place until dropped.
pub(crate) struct Pin(&'static SlotWords);

impl Pin {
    /// For a guest that runs on a cold path, in no place.
    pub fn cold() -> Result<Self, PolicyError> {
        let pin = Slot::own().and_then(|slot| slot.pin(COLD));
        pin.ok_or_else(|| PolicyError::Host {
            detail: "this thread cannot run guests: it is in one, or has less than 320 KiB of its \
                     stack left, or the system refused it an alternate signal stack or a ticker thread"
                .into(),
        })
    }
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        self.0.pinned.store(0, Release);
    }
}

/// Whether some thread of this process is in that place.
pub(crate) fn anyone_in(place: usize) -> bool {
    in_use().any(|words| words.pinned.load(SeqCst) == place)
}

/// Whether some thread of this process is in a guest.
pub(crate) fn anyone_in_a_guest() -> bool {
    in_use().any(|words| words.pinned.load(SeqCst) != 0)
}

/// A number that changes with every pin.
pub(crate) fn activity() -> u64 {
    in_use().fold(0, |sum, words| sum.wrapping_add(words.activity.load(Relaxed)))
}

fn in_use() -> impl Iterator<Item = &'static SlotWords> {
    let here = fork::epoch();
    taken_once().filter(move |words| words.owned_in.load(SeqCst) == here)
}

fn taken_once() -> impl Iterator<Item = &'static SlotWords> {
    SLOTS[..NEVER_TAKEN.load(SeqCst)].iter().map(|words| &**words)
}

/// The slots that threads of this process have at the moment.
pub(crate) fn taken() -> Vec<usize> {
    let here = fork::epoch();
    let is_taken = |words: &SlotWords| words.owned_in.load(Acquire) == here;
    taken_once().enumerate().filter(|(_, words)| is_taken(words)).map(|(at, _)| at).collect()
}

/// Calls `visit` with each slot that no thread has, and keeps threads from taking it meanwhile.
pub(crate) fn visit_free(mut visit: impl FnMut(usize)) {
    for (at, words) in taken_once().enumerate() {
        if claim(words) {
            visit(at);
            words.owned_in.store(0, Release);
        }
    }
}

#[cold]
fn take(epoch: u64) -> Option<Slot> {
    stack::find();
    if TAKEN_IN.get() == epoch || !stack::suffices_for_a_call() {
        return None;
    }
    // Not in a thread that is ending, whose slot was given back.
    AT_END.try_with(|_| ()).ok()?;
    if !INITIALISED.get() && !altstack::initialise_thread() {
        return None;
    }
    INITIALISED.set(true);
    let index = SLOTS.iter().position(|words| claim(words))?;
    NEVER_TAKEN.fetch_max(index + 1, SeqCst);
    SLOT.set(index);
    TAKEN_IN.set(epoch);
    Some(Slot { index, epoch })
}

/// Makes a free slot, or one of a thread that did not come along in a fork, this thread's.
fn claim(words: &SlotWords) -> bool {
    let here = fork::epoch();
    let owner = words.owned_in.load(Relaxed);
    if owner == here || words.owned_in.compare_exchange(owner, here, SeqCst, Relaxed).is_err() {
        return false;
    }
    words.pinned.store(0, SeqCst);
    true
}

/// Gives the slot back when the thread ends.
struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        if TAKEN_IN.replace(0) == fork::epoch() {
            let words = &SLOTS[SLOT.get()];
            words.pinned.store(0, Release);
            words.owned_in.store(0, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread<T: Send>(what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(what).join().expect("no panic"))
    }

    #[test]
    fn a_slot_comes_back_when_its_thread_ends() {
        let slot = on_a_thread(|| Slot::own().expect("room").index());
        let mut seen = false;
        visit_free(|free| seen |= free == slot);
        assert!(seen || taken().contains(&slot), "free, or taken by another test's thread");
    }

    #[test]
    fn a_thread_keeps_its_slot_and_is_seen_in_a_place() {
        on_a_thread(|| {
            let slot = Slot::own().expect("room");
            assert_eq!(Slot::own().map(Slot::index), Some(slot.index()));
            assert!(taken().contains(&slot.index()));
            let place = &raw const slot as usize;
            let pin = slot.pin(place).expect("a ticker");
            assert!(anyone_in(place) && anyone_in_a_guest());
            assert!(slot.pin(place).is_none(), "a thread is in one guest at a time");
            drop(pin);
            assert!(!anyone_in(place));
        });
    }

    #[test]
    fn each_pin_is_activity() {
        on_a_thread(|| {
            let before = activity();
            drop(Pin::cold().expect("a ticker"));
            assert_ne!(activity(), before);
        });
    }
}
