//! Storms for the tests of the rate limits: threads that take at once, on a virtual clock that stands still or runs.

use std::sync::atomic::{AtomicU64, Ordering::*};
use std::thread;

const THREADS: u64 = 4;
const EACH: u64 = 5_000;
/// Offers in a storm.
pub(super) const OFFERS: u64 = THREADS * EACH;

/// How many of all offers of cost 1 were admitted at one moment.
pub(super) fn still(now: u64, take: impl Fn(u64, u64) -> bool + Sync) -> u64 {
    on_threads(|| (0..EACH).filter(|_| take(now, 1)).count() as u64).into_iter().sum()
}

/// Time moves on by `tick` with every offer, from `start`: what each thread had admitted, and the most in one thousand ns by the
/// time of its own readings.
pub(super) fn running(start: u64, tick: u64, take: impl Fn(u64, u64) -> bool + Sync) -> Vec<(u64, u64)> {
    let clock = AtomicU64::new(start);
    on_threads(|| {
        let (mut admitted, mut window, mut here, mut most) = (0, 0, 0, 0);
        for _ in 0..EACH {
            let now = clock.fetch_add(tick, Relaxed);
            if now / 1000 != window {
                (window, here) = (now / 1000, 0);
            }
            if take(now, 1) {
                (admitted, here) = (admitted + 1, here + 1);
            }
            most = most.max(here);
        }
        (admitted, most)
    })
}

fn on_threads<T: Send>(body: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(&body)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
