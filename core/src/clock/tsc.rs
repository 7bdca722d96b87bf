//! The raw readings: the time-stamp counter and `CLOCK_MONOTONIC`.

use std::sync::OnceLock;

/// Nanoseconds of `CLOCK_MONOTONIC` (through the vDSO where there is one).
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock always exists, and `time` is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The counter's reading.
#[inline(always)]
pub fn read() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and Linux leaves it to user programs.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// Nanoseconds a tick in 32.32 fixed point, measured once in this process; None where the kernel does
/// not use the counter for its own clock.
pub fn scale() -> Option<u64> {
    static SCALE: OnceLock<Option<u64>> = OnceLock::new();
    *SCALE.get_or_init(|| if trusted() { measure() } else { None })
}

fn trusted() -> bool {
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    cfg!(target_arch = "x86_64") && std::fs::read_to_string(source).is_ok_and(|name| name.trim() == "tsc")
}

/// Two milliseconds give a scale that is right to about 10⁻⁵; the anchors refine it.
fn measure() -> Option<u64> {
    let (ticks, ns) = (read(), monotonic_ns());
    while monotonic_ns() - ns < 2_000_000 {
        std::hint::spin_loop();
    }
    ratio(monotonic_ns() - ns, read().wrapping_sub(ticks))
}

/// ns / ticks in 32.32 fixed point, when it is a sane one (10 MHz to 100 GHz).
pub fn ratio(ns: u64, ticks: u64) -> Option<u64> {
    let scale = (u128::from(ns) << 32).checked_div(u128::from(ticks))?;
    let sane = (1 << 32) / 100..=(1 << 32) * 100;
    u64::try_from(scale).ok().filter(|scale| sane.contains(scale))
}
