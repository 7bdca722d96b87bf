//! What a policy answers.

/// Action, reason and argument, packed as the host reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict(u64);

impl Verdict {
    /// Go on.
    pub const ALLOW: Self = Self::new(0, 0, 0);

    /// Refuse; come back in so many milliseconds (0: not known; at most an hour). The reason is the policy's own
    /// number, shown in metrics.
    pub const fn deny(reason: u16, retry_after_ms: u32) -> Self {
        Self::new(1, reason, retry_after_ms)
    }

    /// Go on after so many microseconds (at most a minute).
    pub const fn delay(reason: u16, delay_us: u32) -> Self {
        Self::new(2, reason, delay_us)
    }

    /// Go on; the caller's permit carries the number of a route.
    pub const fn route(reason: u16, route: u32) -> Self {
        Self::new(3, reason, route)
    }

    /// As the host reads it.
    pub const fn packed(self) -> i64 {
        self.0 as i64
    }

    const fn new(action: u64, reason: u16, argument: u32) -> Self {
        Self(action | (reason as u64) << 16 | (argument as u64) << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_as_the_host_reads_it() {
        assert_eq!(Verdict::ALLOW.packed(), 0);
        assert_eq!(Verdict::deny(7, 9).packed(), 9 << 32 | 7 << 16 | 1);
        assert_eq!(Verdict::delay(0, 1).packed(), 1 << 32 | 2);
        assert_eq!(Verdict::route(0, u32::MAX).packed() as u64, 0xffff_ffff_0000_0003);
    }
}
