//! The floor: what a guarded call cannot do without, in the cheapest form that the machine has.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::measure::Case;
use crate::needs;

/// `clock_pair`, `atomic_add` and the floors of a guard and of each discipline, who `floor`; and the cost of the work between
/// calls and of the empty loop, which the driver subtracts.
pub fn cases() -> Vec<Case> {
    let clock = Clock::calibrate();
    let mut cases = vec![
        Case::new("between_work", "rust", |_| || ()),
        Case::new("clock_pair", "floor", move |_| {
            move || {
                black_box(clock.now());
                black_box(clock.now());
            }
        }),
        atomic_add(),
        guard(clock),
    ];
    cases.extend(needs::cases(clock));
    cases
}

/// One atomic add to a line that no other thread touches: each thread has its own.
fn atomic_add() -> Case {
    Case::new("atomic_add", "floor", |_| {
        let line = CachePadded::new(AtomicU64::new(0));
        move || {
            black_box(&line).fetch_add(1, Ordering::Relaxed);
        }
    })
}

/// What a guard has to touch: the in-flight count on the way in, the rate, and in-flight on the way out.
#[derive(Default)]
struct Words {
    inflight: AtomicU64,
    rate: AtomicU64,
}

/// Two clock reads and three uncontended atomic adds, in the order in which a guard needs them.
fn guard(clock: Clock) -> Case {
    Case::new("guard", "floor", move |_| {
        let words = Arc::new(CachePadded::new(Words::default()));
        move || {
            let words = black_box(&words);
            let start = clock.now();
            words.inflight.fetch_add(1, Ordering::Relaxed);
            words.rate.fetch_add(1, Ordering::Relaxed);
            words.inflight.fetch_sub(1, Ordering::Relaxed);
            black_box(clock.now() - start);
        }
    })
}

/// The time-stamp counter in nanoseconds, by one multiplication and one shift. It stands for the
/// cheapest clock there is; nothing corrects its drift.
#[derive(Clone, Copy)]
pub struct Clock {
    base: u64,
    scale: u64,
}

/// `ns = ticks × scale >> SHIFT`; at 3 GHz the product fills 64 bits after an hour and a half.
const SHIFT: u32 = 20;

impl Clock {
    fn calibrate() -> Self {
        let (start, base) = (Instant::now(), ticks());
        while start.elapsed() < Duration::from_millis(20) {}
        let (ns, ticks) = (start.elapsed().as_nanos(), ticks() - base);
        let scale = (ns << SHIFT) as u64 / ticks.max(1);
        Self { base, scale }
    }

    /// Nanoseconds since it was calibrated.
    #[inline]
    pub fn now(&self) -> u64 {
        (ticks() - self.base).wrapping_mul(self.scale) >> SHIFT
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours; the monotonic clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
