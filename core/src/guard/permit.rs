//! Permits: what a successful enter hands out and exit gives back. Plain data of the caller's, sealed
//! so that garbage, zeros and used permits are told from one that holds something.

use super::handle::Guard;

/// The life of a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PermitState {
    /// Nothing was ever entered with it.
    Zeroed = 0,
    /// It holds its place in the guard.
    Held = 1,
    /// A stage refused.
    Refused = 2,
    /// It was given back.
    Exited = 3,
}

/// A permit: 128 bytes, on the caller's stack. Copying one that is held is misuse: the copy's exit is counted as a
/// second exit only as long as the first has not zeroed what it names.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct Permit {
    pub(super) seal: u64,
    pub(super) guard: *const Guard,
    pub(super) token: u64,
    pub(super) start_ns: u64,
    pub(super) deadline_ns: u64,
    pub(super) wait_ns: u64,
    pub(super) retry_after_ns: u64,
    pub(super) observer: u64,
    pub(super) key_hash: u64,
    pub(super) cost: u64,
    pub(super) reason: u32,
    pub(super) route: u32,
    pub(super) hold_epoch: u16,
    pub(super) breaker_generation: u16,
    pub(super) state: u8,
    pub(super) stage: u8,
    pub(super) flags: u8,
    pub(super) criticality: u8,
    pub(super) spare: [u64; 4],
}

const _: () = assert!(size_of::<Permit>() == 128);

// SAFETY: the pointer is to a handle that is never unmapped and may be used by any thread.
unsafe impl Send for Permit {}

/// A seal of no state: enter is beginning again.
const AGAIN: u64 = u64::from_le_bytes(*b"tg_again");
/// Makes zeros no seal.
const SEAL: u64 = 0x9E37_79B9_7F4A_7C15;
/// The breaker judges this call.
pub(super) const JUDGED: u8 = 1;
/// The call is a half-open probe.
pub(super) const PROBE: u8 = 2;

impl Default for Permit {
    #[inline(always)]
    fn default() -> Self {
        // SAFETY: integers and a raw pointer; zeros are a permit that was never entered.
        unsafe { std::mem::zeroed() }
    }
}

impl Permit {
    /// Nanoseconds until a refused call may come back; 0: not known; `u64::MAX`: never.
    pub fn retry_after_ns(&self) -> u64 {
        self.retry_after_ns
    }

    /// Nanoseconds to wait before the guarded work starts.
    pub fn wait_ns(&self) -> u64 {
        self.wait_ns
    }

    /// The moment on the runtime's clock at which the call should be over; 0: none.
    pub fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    /// The number of the stage that refused; 0: none did.
    pub fn stage(&self) -> u8 {
        self.stage
    }

    /// The stage's own reason (a policy's, or the index of the rate limit).
    pub fn reason(&self) -> u32 {
        self.reason
    }

    /// The route that a policy chose; 0: none.
    pub fn route(&self) -> u32 {
        self.route
    }

    /// How often this enter has begun again, on a permit that is not sealed yet.
    pub(super) fn again_count(&self) -> u64 {
        if self.seal == AGAIN { self.cost } else { 0 }
    }

    /// Notes that it begins again.
    pub(super) fn count_again(&mut self, tries: u64) {
        (self.seal, self.cost) = (AGAIN, tries);
    }

    /// Seals the permit in a state.
    #[inline(always)]
    pub(super) fn seal_as(&mut self, state: PermitState) {
        self.state = state as u8;
        self.seal = self.expected();
    }

    #[inline(always)]
    fn expected(&self) -> u64 {
        let place = (self.guard as u64).rotate_left(8) ^ self.token.rotate_left(32);
        SEAL ^ place ^ self.start_ns ^ u64::from(self.state)
    }

    /// The state, when the seal is whole.
    #[inline(always)]
    pub fn state(&self) -> PermitState {
        if self.seal != self.expected() {
            return PermitState::Zeroed;
        }
        match self.state {
            1 => PermitState::Held,
            2 => PermitState::Refused,
            3 => PermitState::Exited,
            _ => PermitState::Zeroed,
        }
    }
}
