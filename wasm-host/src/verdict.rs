//! A guest's answer: decoded, checked, clamped.
//!
//! ```text
//! bits  0..8    action: 0 allow, 1 deny, 2 delay, 3 route
//! bits  8..16   flags: 0
//! bits 16..32   reason, the policy's own
//! bits 32..64   argument: deny retry-after in ms, delay in us, route number
//! ```

use tidegate_core::policy::{Action, Verdict};

/// The longest retry-after of a refusal: an hour, in milliseconds.
pub const RETRY_AFTER_MAX_MS: u32 = 3_600_000;
/// The longest delay: a minute, in microseconds.
pub const DELAY_MAX_US: u32 = 60_000_000;

/// The verdict that `raw` stands for; `None` when its action or a flag is not known.
#[inline]
pub fn decode(raw: i64) -> Option<Verdict> {
    let raw = raw as u64;
    if raw & 0xff00 != 0 {
        return None;
    }
    let argument = (raw >> 32) as u32;
    let (action, argument) = match raw & 0xff {
        0 => (Action::Allow, 0),
        1 => (Action::Deny, argument.min(RETRY_AFTER_MAX_MS)),
        2 => (Action::Delay, argument.min(DELAY_MAX_US)),
        3 => (Action::Route, argument),
        _ => return None,
    };
    Some(Verdict { action, reason: (raw >> 16) as u16, argument })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(action: u8, flags: u8, reason: u16, argument: u32) -> i64 {
        let low = u64::from(action) | u64::from(flags) << 8 | u64::from(reason) << 16;
        (low | u64::from(argument) << 32) as i64
    }

    #[test]
    fn each_action_is_known() {
        let verdict = |action, argument| Some(Verdict { action, reason: 7, argument });
        assert_eq!(decode(encode(0, 0, 7, 9)), verdict(Action::Allow, 0));
        assert_eq!(decode(encode(1, 0, 7, 9)), verdict(Action::Deny, 9));
        assert_eq!(decode(encode(2, 0, 7, 9)), verdict(Action::Delay, 9));
        assert_eq!(decode(encode(3, 0, 7, u32::MAX)), verdict(Action::Route, u32::MAX));
    }

    proptest! {
        #[test]
        fn what_is_not_known_is_refused(action in 4u8.., flags: u8, reason: u16, argument: u32) {
            prop_assert_eq!(decode(encode(action, flags, reason, argument)), None);
        }

        #[test]
        fn flags_are_refused(action: u8, flags in 1u8.., reason: u16, argument: u32) {
            prop_assert_eq!(decode(encode(action, flags, reason, argument)), None);
        }

        #[test]
        fn arguments_are_clamped(action in 0u8..4, reason: u16, argument: u32) {
            let verdict = decode(encode(action, 0, reason, argument)).expect("a known action");
            let max = [0, RETRY_AFTER_MAX_MS, DELAY_MAX_US, u32::MAX][action as usize];
            prop_assert_eq!(verdict.argument, argument.min(max));
            prop_assert_eq!(verdict.reason, reason);
        }
    }
}
