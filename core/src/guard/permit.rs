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
    pub(super) marks: Marks,
    /// The epoch of its place in flight.
    pub(super) epoch: u64,
    /// A word of the breaker in the generation that judges the call.
    pub(super) breaker: u64,
    pub(super) deadline_ns: u64,
    pub(super) wait_ns: u64,
    pub(super) retry_after_ns: u64,
    pub(super) reason: u32,
    pub(super) route: u32,
    pub(super) followed: Followed,
    /// Of a call that is counted among those that are running: when it started, as the breaker says it; 0: it is not.
    pub(super) running: u32,
    /// Of a call that a fault delayed ([`DELAYED`]): its place there.
    pub(super) fault: u32,
    /// How long the rate limit of [`Marks::waits_for`] lets it wait; while enter begins again, how often it has.
    pub(super) rate_wait_ns: u64,
}

/// What a policy's observer is told at the end. It means something where the marks say [`FOLLOWED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Followed {
    /// The policy generation that wants to hear of the call; 0: none does.
    pub(super) observer: u64,
    pub(super) key_hash: u64,
    pub(super) cost: u64,
}

const _: () = assert!(size_of::<Permit>() == 128);

// SAFETY: the pointer is to a handle that is never unmapped and may be used by any thread.
unsafe impl Send for Permit {}

/// What is short, in one word: where threads remember the guard (16 bits) | stage that refused (8) | criticality (8) |
/// [`JUDGED`], [`PROBE`], [`FOLLOWED`], [`MORE`], [`DELAYED`],
/// [`THROTTLED`] | for which rate limit it waits the longest (from bit 40).
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub(super) struct Marks(u64);

const STAGE_AT: u32 = 16;
const CRITICALITY_AT: u32 = 24;
const WAITS_FOR_AT: u32 = 40;
/// The breaker judges this call.
pub(super) const JUDGED: u64 = 1 << 32;
/// The call is a half-open probe.
pub(super) const PROBE: u64 = 1 << 33;
/// A policy was asked, and what it said is in the permit.
pub(super) const FOLLOWED: u64 = 1 << 34;
/// The guard has further disciplines, which hear of the call's end.
pub(super) const MORE: u64 = 1 << 35;
/// A fault delayed the call.
pub(super) const DELAYED: u64 = 1 << 36;
/// It counts as accepted in the throttle's window.
pub(super) const THROTTLED: u64 = 1 << 37;

impl Marks {
    /// Of a call on a guard that threads remember there.
    pub(super) const fn of(known_at: u16) -> Marks {
        Marks(known_at as u64)
    }

    /// The same with flags.
    #[inline(always)]
    pub(super) const fn with(self, flags: u64) -> Marks {
        Marks(self.0 | flags)
    }

    /// The same without them.
    pub(super) const fn without(self, flags: u64) -> Marks {
        Marks(self.0 & !flags)
    }

    /// The same of a call that matters so much.
    pub(super) fn of_criticality(self, criticality: u8) -> Marks {
        Marks(self.0 | u64::from(criticality) << CRITICALITY_AT)
    }

    /// Of a call that a stage refused.
    pub(super) fn refused(stage: u8) -> Marks {
        Marks(u64::from(stage) << STAGE_AT)
    }

    /// The same of a call that waits for this rate limit the longest.
    pub(super) const fn waiting_for(self, rate: usize) -> Marks {
        Marks(self.0 | (rate as u64) << WAITS_FOR_AT)
    }

    /// The rate limit for which it waits the longest, where it waits.
    pub(super) fn waits_for(self) -> usize {
        (self.0 >> WAITS_FOR_AT) as usize
    }

    #[inline(always)]
    pub(super) fn known_at(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    pub(super) fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    pub(super) fn criticality(self) -> u16 {
        u16::from((self.0 >> CRITICALITY_AT) as u8)
    }

    fn stage(self) -> u8 {
        (self.0 >> STAGE_AT) as u8
    }
}

/// A seal of no state: enter is beginning again.
const AGAIN: u64 = u64::from_le_bytes(*b"tg_again");
/// Makes zeros no seal.
const SEAL: u64 = 0x9E37_79B9_7F4A_7C15;

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
        self.marks.stage()
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
        if self.seal == AGAIN { self.rate_wait_ns } else { 0 }
    }

    /// Notes that it begins again.
    pub(super) fn count_again(&mut self, tries: u64) {
        (self.seal, self.rate_wait_ns) = (AGAIN, tries);
    }

    /// Seals the permit in a state.
    pub(super) fn seal_as(&mut self, state: PermitState) {
        self.seal = seal_in(state, seal_of(self.guard, self.token), self.start_ns);
    }

    /// Whether it is a held permit of the guard that it names. Token and seal are what all permits of the process and guard
    /// have in common: the token is in the seal too, and is compared by itself so that no spoilt bit of it goes unseen.
    #[inline(always)]
    pub(super) fn is_held(&self, token: u64, seal: u64) -> bool {
        self.token == token && self.seal == seal_in(PermitState::Held, seal, self.start_ns)
    }

    /// Makes one that is held an exited one.
    #[inline(always)]
    pub(super) fn seal_as_exited(&mut self, seal: u64) {
        self.seal = seal_in(PermitState::Exited, seal, self.start_ns);
    }

    /// The state, when the seal is whole.
    pub fn state(&self) -> PermitState {
        match self.seal ^ seal_of(self.guard, self.token) ^ self.start_ns {
            HELD => PermitState::Held,
            REFUSED => PermitState::Refused,
            EXITED => PermitState::Exited,
            _ => PermitState::Zeroed,
        }
    }
}

/// The part of a seal that is the same for all permits of a process and a guard.
#[inline(always)]
pub(super) fn seal_of(guard: *const Guard, token: u64) -> u64 {
    SEAL ^ (guard as u64).rotate_left(8) ^ token.rotate_left(32)
}

/// The seal in a state, of that part.
#[inline(always)]
pub(super) fn seal_in(state: PermitState, seal: u64, start_ns: u64) -> u64 {
    seal ^ start_ns ^ state.mark()
}

/// Marks of the states: far apart, so that a spoilt bit does not make one state another.
const HELD: u64 = 0xD1B5_4A32_D192_ED03;
const REFUSED: u64 = 0x8CB9_2BA7_2F3D_8DD7;
const EXITED: u64 = 0x2545_F491_4F6C_DD1D;

impl PermitState {
    #[inline(always)]
    fn mark(self) -> u64 {
        match self {
            PermitState::Zeroed => 0,
            PermitState::Held => HELD,
            PermitState::Refused => REFUSED,
            PermitState::Exited => EXITED,
        }
    }
}
