//! The breaker's state word.
//!
//! The word: kind (2 bits) | generation (10) | what the state needs (52). A closed or open breaker needs who says so (16 bits:
//! its calls, or an operator) and since when (36 bits, in 2¹⁶ ns, modulo 52 days); a recovering one the share that is due
//! ([`recovery`](super::recovery), 16 bits) and since when; a half-open one probes out (8), passed (8), failed (7) and since
//! when (29 bits, in 2¹⁹ ns, modulo 78 hours). Times are rounded up, so nothing ends early; it ends late by less than
//! 66 µs, or half a millisecond. Longer waits than half the modulus (26 days, 39 hours) count as that.
//!
//! Each change of state makes a new generation, but for the end of a recovery; a call remembers the one it entered with, so
//! that what was admitted before a change does not count after it. A call that is out for exactly a multiple of 1024
//! changes is mistaken for one of the present.

use crate::word::Word;

pub use super::transition::{Change, Reason, admit, end_probe, force, reset, transition, trip};

const GENERATION_AT: u32 = 52;
const GENERATION_MASK: u64 = (1 << 10) - 1;
/// Where the first 16 bits of a state's own begin.
const OWN_AT: u32 = 36;
/// A thread that read the clock so many ns (9 s) before it asks is late; beyond, the clock went back.
pub(super) const LATE: u64 = 1 << 33;
/// The most probes.
const MAX_PROBES: u64 = 255;
/// The most probes that may fail while others pass.
const MAX_FAILED: u64 = 127;

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum State {
    /// Calls pass and are judged.
    #[default]
    Closed = 0,
    /// Calls are refused.
    Open = 1,
    /// A few calls pass as probes.
    HalfOpen = 2,
    /// A rising share of calls passes, and is judged.
    Recovering = 3,
    /// Calls are refused until it is reset.
    ForcedOpen = 4,
    /// Calls pass and are counted, and nothing opens it until it is reset.
    ForcedClosed = 5,
    /// Calls pass and are neither counted nor judged, until it is reset.
    Disabled = 6,
}

impl State {
    /// All of them, by number.
    pub const ALL: [State; 7] = [
        State::Closed,
        State::Open,
        State::HalfOpen,
        State::Recovering,
        State::ForcedOpen,
        State::ForcedClosed,
        State::Disabled,
    ];

    /// The name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
            State::Recovering => "recovering",
            State::ForcedOpen => "forced_open",
            State::ForcedClosed => "forced_closed",
            State::Disabled => "disabled",
        }
    }

    /// Whether an operator put it there, so that only a reset ends it.
    pub fn is_forced(self) -> bool {
        matches!(self, State::ForcedOpen | State::ForcedClosed | State::Disabled)
    }
}

/// A state word taken apart. What the state does not need is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Where it stands.
    pub state: State,
    /// Counts changes of state, modulo 1024.
    pub generation: u64,
    /// Half-open: probes admitted and not given back.
    pub out: u64,
    /// Half-open: of them those that passed.
    pub ok: u64,
    /// Half-open: of them those that failed.
    pub failed: u64,
    /// Recovering: the share of a call that is due.
    pub due: u64,
    /// When this generation began, in units of the state's.
    pub(super) since: u64,
}

/// The rule's numbers that transitions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long open refuses everything, in ns.
    pub open_for_ns: u64,
    /// How many probes there are (1 to 255).
    pub probes: u64,
    /// How long half-open waits for its probes before it sends new ones, in ns.
    pub probe_timeout_ns: u64,
    /// How many of the probes must pass; 0: all. It opens again once so many cannot pass any more; no more than 127
    /// may fail.
    pub probes_ok: u64,
    /// How long the admitted share climbs after the probes, in ns; 0: it closes at once.
    pub recover_over_ns: u64,
    /// The share to begin with, in 2⁻¹⁶ (0 to 65536).
    pub first_share: u64,
}

impl Timing {
    /// One probe, no times, no recovery.
    pub const PLAIN: Timing =
        Timing { open_for_ns: 0, probes: 1, probe_timeout_ns: 0, probes_ok: 0, recover_over_ns: 0, first_share: 0 };

    /// How many probes there are.
    pub(super) fn probes(&self) -> u64 {
        self.probes.clamp(1, MAX_PROBES)
    }

    /// How many must pass.
    pub(super) fn needed(&self) -> u64 {
        let probes = self.probes();
        if self.probes_ok == 0 { probes } else { self.probes_ok.min(probes) }
    }

    /// How many may fail.
    pub(super) fn may_fail(&self) -> u64 {
        (self.probes() - self.needed()).min(MAX_FAILED)
    }
}

/// What the breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go on; the generation to name at exit.
    Pass(u64),
    /// Go on as a probe of this generation.
    Probe(u64),
    /// Go on, and say nothing at exit: the breaker is disabled.
    Unjudged,
    /// Refused; a try may make sense after so many nanoseconds ([`u64::MAX`]: not before somebody resets the breaker).
    Refuse(u64),
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// The callee is well.
    Passed,
    /// It is not.
    Failed,
    /// Nothing is known: given back.
    Unjudged,
}

/// Bits of `since` in a state, and of its unit in ns.
const fn since_bits(state: State) -> (u32, u32) {
    match state {
        State::HalfOpen => (29, 19),
        _ => (36, 16),
    }
}

impl Breaker {
    /// Reads a word, whatever stands in it.
    #[inline(always)]
    pub fn of(word: u64) -> Breaker {
        let own = word >> OWN_AT & 0xFFFF;
        let state = match (word >> 62, own) {
            (0, 0) => State::Closed,
            (0, _) => State::ForcedClosed,
            (1, 1) => State::ForcedOpen,
            (1, 2) => State::Disabled,
            (1, _) => State::Open,
            (2, _) => State::HalfOpen,
            _ => State::Recovering,
        };
        let begun = Breaker {
            state,
            generation: generation_of(word),
            since: word & ((1 << since_bits(state).0) - 1),
            ..Breaker::default()
        };
        match state {
            State::HalfOpen => Breaker { out: own >> 8, ok: own & 0xFF, failed: word >> 29 & 0x7F, ..begun },
            State::Recovering => Breaker { due: own, ..begun },
            _ => begun,
        }
    }

    /// Writes it.
    pub fn word(self) -> u64 {
        let (kind, own) = match self.state {
            State::Closed => (0, 0),
            State::ForcedClosed => (0, 1),
            State::Open => (1, 0),
            State::ForcedOpen => (1, 1),
            State::Disabled => (1, 2),
            State::HalfOpen => (2, (self.out & 0xFF) << 8 | self.ok & 0xFF),
            State::Recovering => (3, self.due & 0xFFFF),
        };
        let failed = if self.state == State::HalfOpen { (self.failed & 0x7F) << 29 } else { 0 };
        let since = self.since & ((1 << since_bits(self.state).0) - 1);
        kind << 62 | word_of(self.generation) | own << OWN_AT | failed | since
    }

    /// The next generation.
    pub(super) fn begin(self, state: State, now: u64) -> Breaker {
        let generation = (self.generation + 1) & GENERATION_MASK;
        Breaker { state, generation, ..Breaker::default() }.since(now)
    }

    /// The same, begun at `now`.
    pub(super) fn since(self, now: u64) -> Breaker {
        let (bits, unit) = since_bits(self.state);
        Breaker { since: now.div_ceil(1 << unit) & ((1 << bits) - 1), ..self }
    }

    /// Nanoseconds left until this generation is `wait` old, 0 when it is. None when it began in what is now the future, by
    /// more than `wait` or [`LATE`] (time went back); by less, a thread may be late, and it waits the longer.
    pub(super) fn left(self, wait: u64, now: u64) -> Option<u64> {
        let (bits, unit) = since_bits(self.state);
        let mask = (1u64 << (bits + unit)) - 1;
        let wait = wait.min(mask / 2);
        let passed = now.wrapping_sub(self.since << unit) & mask;
        if passed <= mask / 2 {
            return Some(wait.saturating_sub(passed));
        }
        let ahead = mask + 1 - passed;
        (ahead <= wait.min(LATE).max(1 << unit)).then_some(wait + ahead)
    }
}

/// Whether a word is that of a closed breaker, which lets pass: closed by its calls or by force. Such a word stays as it is
/// until the next generation. **Hot.**
#[inline(always)]
pub fn is_closed(word: u64) -> bool {
    word >> 62 == State::Closed as u64
}

/// The generation of a word.
#[inline(always)]
pub const fn generation_of(word: u64) -> u64 {
    word >> GENERATION_AT & GENERATION_MASK
}

/// A word that is of a generation, and says no more.
pub const fn word_of(generation: u64) -> u64 {
    (generation & GENERATION_MASK) << GENERATION_AT
}

/// Whether the breaker is in this generation.
pub fn is_of<W: Word>(word: &W, generation: u64) -> bool {
    generation_of(word.get()) == generation & GENERATION_MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_breaker() -> impl Strategy<Value = Breaker> {
        (0usize..7, 0u64..1024, 0u64..256, 0u64..256, 0u64..128, 0u64..65536, 0u64..1 << 36).prop_map(
            |(state, generation, out, ok, failed, due, since)| {
                let (state, begun) = (State::ALL[state], Breaker::default());
                let since = since & ((1 << since_bits(state).0) - 1);
                let begun = Breaker { state, generation, since, ..begun };
                match state {
                    State::HalfOpen => Breaker { out, ok, failed, ..begun },
                    State::Recovering => Breaker { due, ..begun },
                    _ => begun,
                }
            },
        )
    }

    #[test]
    fn states_have_their_numbers() {
        for (number, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
            let word = Breaker { state, generation: 5, ..Breaker::default() }.word();
            assert_eq!(is_closed(word), matches!(state, State::Closed | State::ForcedClosed), "{state:?}");
            assert_eq!(generation_of(word), 5);
        }
    }

    #[test]
    fn waits_longer_than_the_word_can_tell_are_cut() {
        let open = Breaker::default().begin(State::Open, 0);
        assert_eq!(open.left(u64::MAX, 0), Some((1 << 51) - 1));
        assert_eq!(open.left(u64::MAX, (1 << 51) - 1), Some(0));
        let half = Breaker::default().begin(State::HalfOpen, 0);
        assert_eq!(half.left(u64::MAX, (1 << 47) - 2), Some(1));
    }

    #[test]
    fn a_late_thread_waits_the_longer() {
        let open = Breaker::default().begin(State::Open, 10 << 16);
        assert_eq!(open.left(5 << 16, 7 << 16), Some(8 << 16));
        assert_eq!(open.left(5 << 16, 5 << 16), Some(10 << 16));
        assert_eq!(open.left(5 << 16, (5 << 16) - 1), None);
        assert_eq!(open.left(0, 9 << 16), Some(1 << 16), "the rounding up of its begin");
    }

    proptest! {
        #[test]
        fn words_keep_every_field(breaker in any_breaker()) {
            prop_assert_eq!(Breaker::of(breaker.word()), breaker);
        }

        #[test]
        fn any_word_is_read(word in any::<u64>()) {
            let read = Breaker::of(word);
            prop_assert_eq!(Breaker::of(read.word()), read);
        }
    }
}
