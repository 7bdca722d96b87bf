//! How long a guest may keep a processor.
//!
//! The ticker counts milliseconds; a guest that is still running when its ticks are over is looked
//! at: when its thread has used the processor time that a call may use, it is stopped; when it was
//! merely not running (a busy machine), it gets as many ticks again. The first look only
//! notes the thread's time, since asking at each entry would be a system call: so a guest that never
//! stops is stopped after about two deadlines.

/// Extensions that one entry may get; more means that the clock of the thread is of no use.
const EXTENSIONS_MAX: u32 = 1000;
/// Nanoseconds of one tick of the ticker.
pub(crate) const TICK_NS: u64 = 1_000_000;

/// How long an entry may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Processor time, in nanoseconds.
    ns: u64,
    /// One tick more than that has, since the current one is partly over.
    pub ticks: u64,
}

impl Allowance {
    pub fn new(ns: u64) -> Self {
        Self { ns, ticks: ns.div_ceil(TICK_NS) + 1 }
    }
}

/// The deadline of one entry into a guest.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    allowed: Allowance,
    /// The thread's processor time when the ticks were first over.
    noted_ns: Option<u64>,
    extensions: u32,
}

impl Deadline {
    /// **Hot.** For the next entry.
    #[inline]
    pub fn start(&mut self, allowed: Allowance) {
        *self = Self { allowed, noted_ns: None, extensions: 0 };
    }

    /// The ticks are over and the thread has used `thread_ns` of processor time in its life.
    /// `Some(ticks)`: goes on for so many; `None`: stop.
    pub fn over(&mut self, thread_ns: u64) -> Option<u64> {
        let noted = *self.noted_ns.get_or_insert(thread_ns);
        self.extensions += 1;
        let spent = thread_ns.saturating_sub(noted) >= self.allowed.ns;
        (!spent && self.extensions <= EXTENSIONS_MAX).then_some(self.allowed.ticks)
    }
}

/// Processor time that this thread has used, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } != 0;
    // Without that clock, every look counts as the whole deadline: stop, rather than never.
    if failed { u64::MAX } else { time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_guest_is_stopped_at_the_second_look() {
        let mut deadline = Deadline::default();
        assert_eq!(Allowance::new(1_000_000).ticks, 2);
        deadline.start(Allowance::new(1_000_000));
        assert_eq!(deadline.over(70_000_000), Some(2));
        assert_eq!(deadline.over(71_000_000), None);
    }

    #[test]
    fn one_that_did_not_run_goes_on() {
        let mut deadline = Deadline::default();
        deadline.start(Allowance::new(3_000_000));
        for _ in 0..50 {
            assert_eq!(deadline.over(5), Some(4));
        }
        assert_eq!(deadline.over(3_000_005), None);
    }

    #[test]
    fn but_not_for_ever() {
        let mut deadline = Deadline::default();
        deadline.start(Allowance::new(1));
        let looks = (0..10_000).take_while(|_| deadline.over(5).is_some()).count();
        assert_eq!(looks, EXTENSIONS_MAX as usize);
    }

    #[test]
    fn the_threads_clock_runs() {
        let before = thread_cpu_ns();
        let mut n = 0u64;
        while thread_cpu_ns() == before {
            n = std::hint::black_box(n + 1);
        }
        assert!(thread_cpu_ns() > before);
    }
}
