//! Deadlines: moments on the runtime's clock after which nobody waits for an answer. 0 stands for none.
//!
//! They travel as the time left, since clocks of two machines differ: [`grpc_timeout`], [`millis`]. A call that usually takes
//! longer than what is left need not be begun: [`enough`].

pub mod enough;
pub mod grpc_timeout;
pub mod millis;

/// No deadline.
pub const NONE: u64 = 0;

/// The moment `ns` nanoseconds from `now`, never [`NONE`]; saturates. A deadline of no time at all has passed at once.
pub fn after(now: u64, ns: u64) -> u64 {
    now.saturating_add(ns).max(1)
}

/// The earliest of several deadlines (the caller's, the inherited one, the rule's), of which any may be [`NONE`].
pub fn earliest(deadlines: impl IntoIterator<Item = u64>) -> u64 {
    deadlines.into_iter().filter(|&at| at != NONE).min().unwrap_or(NONE)
}

/// Nanoseconds left, 0 when it has passed; None: there is no deadline.
pub fn remaining(deadline: u64, now: u64) -> Option<u64> {
    (deadline != NONE).then(|| deadline.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_counts_and_none_counts_not() {
        assert_eq!(earliest([NONE, 30, 20]), 20);
        assert_eq!(earliest([NONE, NONE, 7]), 7);
        assert_eq!(earliest([NONE; 3]), NONE);
        assert_eq!(earliest([]), NONE);
    }

    #[test]
    fn what_is_left_is_never_negative() {
        assert_eq!(remaining(100, 40), Some(60));
        assert_eq!(remaining(100, 100), Some(0));
        assert_eq!(remaining(100, u64::MAX), Some(0), "long past");
        assert_eq!(remaining(NONE, 40), None);
    }

    #[test]
    fn no_time_at_all_is_a_deadline_too() {
        assert_eq!(remaining(after(0, 0), 1), Some(0));
        assert_eq!(remaining(after(50, 0), 50), Some(0));
        assert_eq!(after(u64::MAX - 1, u64::MAX), u64::MAX);
    }
}
