//! The breaker's state word and its transitions.
//!
//! The word: state (2 bits) | generation (10) | probes out (8) | probes that succeeded (8) | since (36 bits, in
//! 2¹⁶ ns, rounded up, modulo 52 days). Each change of state makes a new generation; a call remembers the one it
//! entered with, so that what was admitted before a change does not count after it.

use crate::word::{Word, update};

const SINCE_BITS: u32 = 36;
const SINCE_MASK: u64 = (1 << SINCE_BITS) - 1;
const GENERATION_AT: u32 = 52;
const GENERATION_MASK: u64 = (1 << 10) - 1;
/// Nanoseconds of a unit of `since`, as a power of two.
const UNIT_BITS: u32 = 16;

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
}

/// A state word taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Where it stands.
    pub state: State,
    /// Counts changes of state, modulo 1024.
    pub generation: u64,
    /// Probes admitted and not yet judged or given back, plus those that succeeded.
    pub out: u64,
    /// Probes that succeeded.
    pub ok: u64,
    /// When this generation began, in 2¹⁶ ns.
    since: u64,
}

/// The rule's numbers that transitions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long open refuses everything, in ns.
    pub open_for_ns: u64,
    /// How many probes must succeed (1 to 255).
    pub probes: u64,
    /// How long half-open waits for its probes before it sends new ones, in ns.
    pub probe_timeout_ns: u64,
}

/// What the breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go on; the generation to name at exit.
    Pass(u64),
    /// Go on as a probe of this generation.
    Probe(u64),
    /// Refused; a try may make sense after so many nanoseconds.
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

impl Breaker {
    /// Reads a word.
    #[inline(always)]
    pub fn of(word: u64) -> Breaker {
        let state = match word >> 62 {
            0 => State::Closed,
            1 => State::Open,
            _ => State::HalfOpen,
        };
        Breaker {
            state,
            generation: generation_of(word),
            out: word >> 44 & 0xFF,
            ok: word >> 36 & 0xFF,
            since: word & SINCE_MASK,
        }
    }

    /// Writes it.
    pub fn word(self) -> u64 {
        (self.state as u64) << 62
            | word_of(self.generation)
            | (self.out & 0xFF) << 44
            | (self.ok & 0xFF) << 36
            | self.since & SINCE_MASK
    }

    fn begin(self, state: State, now: u64) -> Breaker {
        let since = now.div_ceil(1 << UNIT_BITS) & SINCE_MASK;
        Breaker { state, generation: (self.generation + 1) & GENERATION_MASK, out: 0, ok: 0, since }
    }

    /// Nanoseconds left until this generation is `wait` old, 0 when it is; None when it began in what is now the future
    /// (time went back).
    fn left(self, wait: u64, now: u64) -> Option<u64> {
        let wait = wait.div_ceil(1 << UNIT_BITS);
        let passed = (now >> UNIT_BITS).wrapping_sub(self.since) & SINCE_MASK;
        let left = match passed {
            // The rounding up of `since` may put it one unit ahead.
            SINCE_MASK => wait + 1,
            _ if passed > SINCE_MASK / 2 => return None,
            _ => wait.saturating_sub(passed),
        };
        Some((left << UNIT_BITS).saturating_sub(now & ((1 << UNIT_BITS) - 1)))
    }

    fn probe(self) -> (Breaker, Admission) {
        (Breaker { out: self.out + 1, ..self }, Admission::Probe(self.generation))
    }

    /// What becomes of the breaker, and of a call that asks at `now`.
    pub fn admit(self, timing: &Timing, now: u64) -> (Breaker, Admission) {
        let wait = match self.state {
            State::Closed => return (self, Admission::Pass(self.generation)),
            State::HalfOpen if self.out < timing.probes => return self.probe(),
            State::HalfOpen => timing.probe_timeout_ns,
            State::Open => timing.open_for_ns,
        };
        match self.left(wait, now) {
            Some(0) => self.begin(State::HalfOpen, now).probe(),
            Some(left) => (self, Admission::Refuse(left)),
            // The clock went back behind this generation's begin: it begins anew, now.
            None => {
                let since = now.div_ceil(1 << UNIT_BITS) & SINCE_MASK;
                (Breaker { since, ..self }, Admission::Refuse(wait))
            }
        }
    }

    /// What becomes of the breaker when a probe of `generation` ends. A probe of another one changes nothing.
    pub fn end_probe(self, timing: &Timing, generation: u64, end: ProbeEnd, now: u64) -> Breaker {
        if self.state != State::HalfOpen || self.generation != generation {
            return self;
        }
        match end {
            ProbeEnd::Failed => self.begin(State::Open, now),
            ProbeEnd::Passed if self.ok + 1 >= timing.probes => self.begin(State::Closed, now),
            ProbeEnd::Passed => Breaker { ok: self.ok + 1, ..self },
            ProbeEnd::Unjudged => Breaker { out: self.out.saturating_sub(1), ..self },
        }
    }

    /// What becomes of a breaker whose calls of `generation` turned out bad.
    pub fn trip(self, generation: u64, now: u64) -> Breaker {
        if self.state != State::Closed || self.generation != generation {
            return self;
        }
        self.begin(State::Open, now)
    }
}

/// Whether a word is that of a closed breaker, which lets pass. Such a word stays as it is for its whole generation. **Hot.**
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
pub fn word_of(generation: u64) -> u64 {
    (generation & GENERATION_MASK) << GENERATION_AT
}

/// Asks the breaker for one call. The second value is the state that it went to, if it changed.
pub fn admit<W: Word>(word: &W, timing: &Timing, now: u64) -> (Admission, Option<State>) {
    transition(word, |breaker| breaker.admit(timing, now))
}

/// Applies a transition; the second value is the state that it went to, if it changed.
pub fn transition<W: Word, T>(word: &W, mut step: impl FnMut(Breaker) -> (Breaker, T)) -> (T, Option<State>) {
    let done: Result<_, std::convert::Infallible> = update(word, |seen| {
        let before = Breaker::of(seen);
        let (after, answer) = step(before);
        Ok((after.word(), (answer, (before.state != after.state).then_some(after.state))))
    });
    match done {
        Ok(done) => done,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const TIMING: Timing = Timing { open_for_ns: 5 * SECOND, probes: 2, probe_timeout_ns: 3 * SECOND };

    fn opened(now: u64) -> Breaker {
        Breaker::default().trip(0, now)
    }

    #[test]
    fn opens_probes_and_closes() {
        let open = opened(SECOND);
        assert_eq!(open.state, State::Open);
        assert!(matches!(open.admit(&TIMING, SECOND).1, Admission::Refuse(_)));
        let (half, first) = open.admit(&TIMING, 6 * SECOND + (1 << 17));
        let (half, second) = half.admit(&TIMING, 7 * SECOND);
        assert_eq!((half.state, first, second), (State::HalfOpen, Admission::Probe(2), Admission::Probe(2)));
        assert!(matches!(half.admit(&TIMING, 7 * SECOND).1, Admission::Refuse(_)), "two probes at most");
        let half = half.end_probe(&TIMING, 2, ProbeEnd::Passed, 8 * SECOND);
        assert_eq!(half.state, State::HalfOpen);
        assert_eq!(half.end_probe(&TIMING, 2, ProbeEnd::Passed, 8 * SECOND).state, State::Closed);
        assert_eq!(half.end_probe(&TIMING, 2, ProbeEnd::Failed, 8 * SECOND).state, State::Open);
    }

    #[test]
    fn never_opens_early() {
        for now in [SECOND, SECOND + 1, SECOND + 65_535, 12_345_678_901] {
            let (_, admission) = opened(now).admit(&TIMING, now + TIMING.open_for_ns - 1);
            assert!(matches!(admission, Admission::Refuse(_)));
            let Admission::Refuse(left) = opened(now).admit(&TIMING, now + 17).1 else { panic!("open") };
            let (_, admission) = opened(now).admit(&TIMING, now + 17 + left);
            assert!(matches!(admission, Admission::Probe(_)), "retry-after is not too early");
            assert!(17 + left < TIMING.open_for_ns + (1 << 17));
        }
    }

    #[test]
    fn a_probe_that_never_comes_back_does_not_wedge_it() {
        let (half, _) = opened(0).admit(&TIMING, 6 * SECOND);
        let (half, _) = half.admit(&TIMING, 6 * SECOND);
        assert!(matches!(half.admit(&TIMING, 8 * SECOND).1, Admission::Refuse(_)));
        let (again, admission) = half.admit(&TIMING, 9 * SECOND + (1 << 17));
        assert_eq!(admission, Admission::Probe(3));
        assert_eq!(again.end_probe(&TIMING, 2, ProbeEnd::Failed, 10 * SECOND), again, "the late one counts no more");
    }

    #[test]
    fn a_probe_given_back_frees_its_place() {
        let timing = Timing { probes: 1, ..TIMING };
        let (half, _) = opened(0).admit(&timing, 6 * SECOND);
        let half = half.end_probe(&timing, 2, ProbeEnd::Unjudged, 6 * SECOND);
        assert_eq!(half.admit(&timing, 6 * SECOND).1, Admission::Probe(2));
    }

    #[test]
    fn a_clock_that_went_back_costs_one_open_time_more() {
        let (open, admission) = opened(3600 * SECOND).admit(&TIMING, SECOND);
        assert_eq!(admission, Admission::Refuse(TIMING.open_for_ns));
        assert!(matches!(open.admit(&TIMING, 7 * SECOND).1, Admission::Probe(_)));
    }

    #[test]
    fn calls_of_an_earlier_generation_do_not_trip_it() {
        let closed = Breaker { generation: 9, ..Breaker::default() };
        assert_eq!(closed.trip(8, SECOND), closed);
        assert_eq!(closed.trip(9, SECOND).state, State::Open);
    }

    proptest! {
        #[test]
        fn words_keep_every_field(state in 0u64..3, generation in 0u64..1024, out in 0u64..256, ok in 0u64..256, since in 0u64..(1 << 36)) {
            let word = state << 62 | generation << 52 | out << 44 | ok << 36 | since;
            prop_assert_eq!(Breaker::of(word).word(), word);
        }

        #[test]
        fn never_more_probes_out_than_allowed(steps in prop::collection::vec((0u8..4, 0u64..4 * SECOND), 1..200)) {
            let (mut breaker, mut now, mut live) = (opened(0), 0u64, 0u64);
            for (step, pause) in steps {
                now += pause;
                let before = breaker.generation;
                breaker = match step {
                    0 | 1 => {
                        let (next, admission) = breaker.admit(&TIMING, now);
                        if next.generation != before { live = 0 }
                        if matches!(admission, Admission::Probe(_)) { live += 1 }
                        next
                    }
                    2 => breaker.end_probe(&TIMING, before, ProbeEnd::Passed, now),
                    _ if breaker.out > breaker.ok => { live = live.saturating_sub(1); breaker.end_probe(&TIMING, before, ProbeEnd::Unjudged, now) }
                    _ => breaker,
                };
                if breaker.state != State::HalfOpen { live = 0 }
                prop_assert!(live <= TIMING.probes && breaker.out <= TIMING.probes);
            }
        }
    }
}
