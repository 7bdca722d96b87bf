//! Permits: what a successful enter hands out and exit gives back. Plain data of the caller's, sealed
//! so that garbage, zeros and used permits are told from one that holds something.

use super::handle::Guard;
use super::policy_stage::Go;

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
    pub(super) marks: Marks,
    pub(super) spare: [u64; 4],
}

const _: () = assert!(size_of::<Permit>() == 128);

// SAFETY: the pointer is to a handle that is never unmapped and may be used by any thread.
unsafe impl Send for Permit {}

/// What is short, in one word: the guard's index (16 bits) | hold epoch (16) | breaker generation (16) | stage (8) |
/// [`JUDGED`], [`PROBE`] (4) | criticality (4).
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub(super) struct Marks(u64);

const EPOCH_AT: u32 = 16;
const GENERATION_AT: u32 = 32;
const STAGE_AT: u32 = 48;
const FLAGS_AT: u32 = 56;
const CRITICALITY_AT: u32 = 60;

impl Marks {
    /// Of a call whose breaker's part is not known yet.
    #[inline(always)]
    pub(super) fn of(index: u16, criticality: u8) -> Marks {
        Marks(u64::from(index) | u64::from(criticality) << CRITICALITY_AT)
    }

    /// The same of one that the breaker judges: in this generation, with these flags.
    #[inline(always)]
    pub(super) fn judged(self, generation: u64, flags: u64) -> Marks {
        Marks(self.0 | generation << GENERATION_AT | flags << FLAGS_AT)
    }

    /// The same of one that has its place in flight.
    #[inline(always)]
    pub(super) fn placed(self, epoch: u64) -> Marks {
        Marks(self.0 | epoch << EPOCH_AT)
    }

    /// Of a call that a stage refused.
    pub(super) fn refused(stage: u8) -> Marks {
        Marks(u64::from(stage) << STAGE_AT)
    }

    #[inline(always)]
    pub(super) fn index(self) -> usize {
        (self.0 & 0xFFFF) as usize
    }

    #[inline(always)]
    pub(super) fn epoch(self) -> u64 {
        self.0 >> EPOCH_AT & 0xFFFF
    }

    #[inline(always)]
    pub(super) fn breaker_generation(self) -> u64 {
        self.0 >> GENERATION_AT & 0xFFFF
    }

    #[inline(always)]
    pub(super) fn is_judged(self) -> bool {
        self.0 >> FLAGS_AT & JUDGED != 0
    }

    #[inline(always)]
    pub(super) fn is_probe(self) -> bool {
        self.0 >> FLAGS_AT & PROBE != 0
    }

    pub(super) fn criticality(self) -> u16 {
        (self.0 >> CRITICALITY_AT) as u16
    }

    fn stage(self) -> u8 {
        (self.0 >> STAGE_AT) as u8
    }
}

/// A seal of no state: enter is beginning again.
const AGAIN: u64 = u64::from_le_bytes(*b"tg_again");
/// Makes zeros no seal.
const SEAL: u64 = 0x9E37_79B9_7F4A_7C15;
/// The breaker judges this call.
pub(super) const JUDGED: u64 = 1;
/// The call is a half-open probe.
pub(super) const PROBE: u64 = 2;

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

    /// Goes on as a policy said.
    pub(super) fn follow(&mut self, go: &Go, key_hash: u64) {
        (self.wait_ns, self.route, self.observer) = (go.wait_ns, go.route, go.observer);
        self.key_hash = if go.observer == 0 { 0 } else { key_hash };
    }

    /// How often this enter has begun again, on a permit that is not sealed yet.
    pub(super) fn again_count(&self) -> u64 {
        if self.seal == AGAIN { self.spare[0] } else { 0 }
    }

    /// Notes that it begins again.
    pub(super) fn count_again(&mut self, tries: u64) {
        (self.seal, self.spare[0]) = (AGAIN, tries);
    }

    /// Seals the permit in a state.
    pub(super) fn seal_as(&mut self, state: PermitState) {
        self.seal = seal_in(state, seal_of(self.guard, self.token), self.start_ns);
    }

    /// Makes a held permit an exited one, and tells whether it was held. `seal` is the part that is the same for
    /// all permits of the process and guard.
    #[inline(always)]
    pub(super) fn end(&mut self, seal: u64) -> bool {
        let whole = seal == seal_of(self.guard, self.token);
        let held = whole && self.seal == seal_in(PermitState::Held, seal, self.start_ns);
        if held {
            self.seal = seal_in(PermitState::Exited, seal, self.start_ns);
        }
        held
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
