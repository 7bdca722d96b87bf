//! The one thread of the host: it counts the engine's epoch while guests run, and frees what is left
//! over from swaps. When no guest was called for about a second it parks, and the next call wakes
//! it; it is never needed by a call that is answered.

use crate::deadline::TICK_NS;
use crate::{altstack, engine, registry, thread};
use crossbeam_utils::CachePadded;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};
use std::thread::Thread;
use std::time::Duration;
use tidegate_core::fork;

/// Ticks between two looks at whether anything runs.
const LOOK_TICKS: u32 = 1000;

/// The fork epoch of the process in which the ticker is awake; 0: it is parked, or there is none. A
/// child sees its parent's epoch there, and starts its own.
static AWAKE_IN: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));
/// The fork epoch of the process that has a ticker thread.
static LIVES_IN: AtomicU64 = AtomicU64::new(0);
/// That thread. Never freed: one is made for each process.
static THREAD: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
/// Something may be free to be collected.
static COLLECT: AtomicBool = AtomicBool::new(false);

/// **Hot.** To be called after the pin, with this process's fork epoch. False when no ticker is to be had; then deadlines would not
/// be kept, and no guest may run.
#[inline]
pub(crate) fn ensure_awake(epoch: u64) -> bool {
    // Sequentially consistent, as is the pin before it: either this sees that the ticker is about
    // to park, or the ticker sees the pin.
    AWAKE_IN.load(SeqCst) == epoch || wake()
}

/// Lets the ticker look soon for what can be freed.
pub(crate) fn collect_soon() {
    COLLECT.store(true, SeqCst);
    if AWAKE_IN.load(SeqCst) == 0 && LIVES_IN.load(Acquire) == fork::epoch() {
        unpark();
    }
}

#[cold]
fn wake() -> bool {
    let here = fork::epoch();
    let seen = AWAKE_IN.load(SeqCst);
    if seen == here || AWAKE_IN.compare_exchange(seen, here, SeqCst, SeqCst).is_err() {
        return true;
    }
    if LIVES_IN.load(Acquire) == here {
        unpark();
        return true;
    }
    let started = start(here);
    if !started {
        AWAKE_IN.store(0, SeqCst);
    }
    started
}

/// With every signal blocked: the host's handlers expect the host's threads.
fn start(here: u64) -> bool {
    let builder = std::thread::Builder::new().name("tidegate-ticker".into()).stack_size(512 << 10);
    altstack::with_signals_blocked(|| builder.spawn(move || run(here)).is_ok())
}

fn unpark() {
    let thread = THREAD.load(Acquire);
    if !thread.is_null() {
        // SAFETY: never freed.
        unsafe { (*thread).unpark() };
    }
}

fn run(here: u64) {
    THREAD.store(Box::into_raw(Box::new(std::thread::current())), Release);
    LIVES_IN.store(here, Release);
    loop {
        let before = thread::activity();
        (0..LOOK_TICKS).for_each(|_| tick());
        if thread::activity() == before && !thread::anyone_in_a_guest() {
            rest(here);
        }
        registry::trim();
    }
}

fn tick() {
    std::thread::sleep(Duration::from_nanos(TICK_NS));
    engine::tick();
    collect_if_asked();
}

fn collect_if_asked() {
    if COLLECT.swap(false, SeqCst) {
        registry::collect();
    }
}

/// Parks until a call wakes it.
fn rest(here: u64) {
    registry::trim();
    AWAKE_IN.store(0, SeqCst);
    if thread::anyone_in_a_guest() {
        let _ = AWAKE_IN.compare_exchange(0, here, SeqCst, SeqCst);
    }
    while AWAKE_IN.load(SeqCst) != here {
        collect_if_asked();
        std::thread::park();
    }
}
