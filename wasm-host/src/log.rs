//! What guests say, in a bounded ring.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tidegate_core::trylock::TryLock;

/// Lines that a policy's ring keeps; older ones are written over.
pub const LOG_LINES: usize = 256;
const READER_TRIES: usize = 1_000_000;
/// Longer lines are cut.
pub const LOG_LINE_BYTES: usize = 240;

/// One line of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Counts up from 1 for each line of the policy, so that gaps show.
    pub number: u64,
    /// 0 debug, 1 info, 2 warning, 3 error; what the guest said, clamped.
    pub level: u8,
    /// The `now_ns` of the record being decided; 0 in start and init.
    pub now_ns: u64,
    /// UTF-8; what was not is replaced.
    pub text: String,
}

#[derive(Clone, Copy)]
struct Line {
    now_ns: u64,
    level: u8,
    length: u8,
    bytes: [u8; LOG_LINE_BYTES],
}

const EMPTY: Line = Line { now_ns: 0, level: 0, length: 0, bytes: [0; LOG_LINE_BYTES] };

struct Lines {
    /// How many were ever written.
    written: u64,
    lines: Box<[Line]>,
}

/// A policy's ring. Writers try its lock and never wait; a line that finds it taken is dropped and
/// counted.
pub(crate) struct Ring {
    lines: TryLock<Lines>,
    dropped: AtomicU64,
}

impl Default for Ring {
    fn default() -> Self {
        let lines = vec![EMPTY; LOG_LINES].into();
        Self { lines: TryLock::new(Lines { written: 0, lines }), dropped: AtomicU64::new(0) }
    }
}

impl Ring {
    /// **Hot.** Writes a line, or counts it as dropped.
    pub fn write(&self, level: i32, now_ns: u64, text: &[u8]) {
        let Some(mut ring) = self.lines.try_lock() else {
            self.dropped.fetch_add(1, Relaxed);
            return;
        };
        let at = (ring.written % LOG_LINES as u64) as usize;
        ring.written += 1;
        let length = text.len().min(LOG_LINE_BYTES);
        let line = &mut ring.lines[at];
        (line.now_ns, line.level, line.length) = (now_ns, level.clamp(0, 3) as u8, length as u8);
        line.bytes[..length].copy_from_slice(&text[..length]);
    }

    /// Every line still there, oldest first. Nothing when writers hold the ring all the time.
    pub fn read(&self) -> Vec<LogLine> {
        let Some(ring) = self.lines.try_times(READER_TRIES) else {
            return Vec::new();
        };
        let first = ring.written.saturating_sub(LOG_LINES as u64);
        (first..ring.written).map(|n| ring.lines[(n % LOG_LINES as u64) as usize].read(n + 1)).collect()
    }

    /// Lines that found the ring taken.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

impl Line {
    fn read(&self, number: u64) -> LogLine {
        let text = String::from_utf8_lossy(&self.bytes[..self.length as usize]).into_owned();
        LogLine { number, level: self.level, now_ns: self.now_ns, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_in_order() {
        let ring = Ring::default();
        ring.write(9, 5, b"one");
        ring.write(-1, 6, &[0xff; 300]);
        let lines = ring.read();
        assert_eq!(lines[0], LogLine { number: 1, level: 3, now_ns: 5, text: "one".into() });
        assert_eq!((lines[1].level, lines[1].text.chars().count()), (0, LOG_LINE_BYTES));
    }

    #[test]
    fn old_lines_give_way() {
        let ring = Ring::default();
        (0..LOG_LINES as u64 + 10).for_each(|n| ring.write(1, n, b"x"));
        let lines = ring.read();
        assert_eq!(lines.len(), LOG_LINES);
        assert_eq!((lines[0].number, lines[0].now_ns), (11, 10));
    }

    #[test]
    fn a_taken_ring_drops() {
        let ring = Ring::default();
        let reader = ring.lines.try_lock();
        ring.write(1, 0, b"x");
        drop(reader);
        assert_eq!((ring.dropped(), ring.read().len()), (1, 0));
    }
}
