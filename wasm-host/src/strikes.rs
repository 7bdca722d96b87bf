//! When a generation has failed too often.
//!
//! Two rules, both on words that are written only when something fails: so many failures one after
//! another, or so many within a window of ten seconds of the records' clock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

const WINDOW_NS: u64 = 10_000_000_000;

/// A generation's failures.
#[derive(Default)]
pub(crate) struct Strikes {
    in_a_row: AtomicU32,
    /// The window's number in the upper half, the failures in it in the lower.
    window: AtomicU64,
}

impl Strikes {
    /// **Hot.** A call was answered. Writes only after a failure.
    #[inline]
    pub fn answered(&self) {
        if self.in_a_row.load(Relaxed) != 0 {
            self.in_a_row.store(0, Relaxed);
        }
    }

    /// A call failed at `now_ns`. True when that was one too many.
    pub fn failed(&self, now_ns: u64, in_a_row: u32, in_window: u32) -> bool {
        let row = self.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
        let step = |word| Some(count_in_window(word, now_ns));
        let old = self.window.fetch_update(Relaxed, Relaxed, step).unwrap_or_else(|word| word);
        let failures = count_in_window(old, now_ns) as u32;
        row >= in_a_row || failures >= in_window
    }

    /// Forgets everything, for the next generation in this place.
    pub fn clear(&self) {
        self.in_a_row.store(0, Relaxed);
        self.window.store(0, Relaxed);
    }
}

/// The window word after one more failure at `now_ns`.
fn count_in_window(word: u64, now_ns: u64) -> u64 {
    let window = (now_ns / WINDOW_NS) as u32;
    let count = if (word >> 32) as u32 == window { word as u32 } else { 0 };
    u64::from(window) << 32 | u64::from(count.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_a_row() {
        let strikes = Strikes::default();
        let verdicts: Vec<bool> = (0..5).map(|_| strikes.failed(1, 5, 100)).collect();
        assert_eq!(verdicts, [false, false, false, false, true]);
    }

    #[test]
    fn an_answer_breaks_the_row() {
        let strikes = Strikes::default();
        for _ in 0..20 {
            assert!(!strikes.failed(1, 2, 100));
            strikes.answered();
        }
    }

    #[test]
    fn too_many_in_one_window() {
        let strikes = Strikes::default();
        let mut over = 0;
        for _ in 0..10 {
            over += u32::from(strikes.failed(5, u32::MAX, 10));
        }
        assert_eq!(over, 1);
    }

    #[test]
    fn the_next_window_starts_afresh() {
        let strikes = Strikes::default();
        for call in 0..40 {
            let window_of_five = WINDOW_NS * (call / 5);
            assert!(!strikes.failed(window_of_five, u32::MAX, 6));
        }
    }
}
