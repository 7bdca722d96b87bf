//! What becomes of a breaker: pure functions over [`Breaker`], and the same over its word.
//!
//! | from | what happens | to | reason | generation |
//! |---|---|---|---|---|
//! | closed, recovering | a call of the generation shows that it is bad enough | open | of the verdict | new |
//! | open | a call comes after `open_for` | half-open; the call is its first probe | open ended | new |
//! | half-open | enough probes passed | recovering; closed without `recover_over` | probes passed | new |
//! | half-open | too many probes failed | open | probes failed | new |
//! | half-open | a call comes after `probe_timeout`, all places taken | half-open; the call is its first probe | probes lost | new |
//! | recovering | a call comes after `recover_over` | closed; the call passes | recovered | the same |
//! | any | [`force`] | forced open, forced closed, disabled | forced | new, unless it is there |
//! | any | [`reset`] | closed | reset | new |
//!
//! Nothing else changes the state: forced open never lets probes pass, forced closed never opens, and a call or probe of
//! an earlier generation changes nothing. As the generation goes on when a recovery ends, the calls that
//! were admitted meanwhile count after it; every other change starts with an empty window.

use super::recovery;
use super::state::{Admission, Breaker, ProbeEnd, State, Timing};
use crate::word::{Word, update};

/// Why the breaker changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Somebody said so who gave no other reason.
    Told = 0,
    /// Too many failures in a row.
    FailuresInARow = 1,
    /// Too many bad calls in the window.
    ErrorCount = 2,
    /// Too large a share of bad calls in the window.
    ErrorRatio = 3,
    /// Too large a share of slow calls in the window.
    SlowRatio = 4,
    /// So many probes failed that not enough can pass.
    ProbesFailed = 5,
    /// Enough probes passed.
    ProbesPassed = 6,
    /// Probes did not come back in time.
    ProbesLost = 7,
    /// `open_for` passed.
    OpenEnded = 8,
    /// `recover_over` passed.
    Recovered = 9,
    /// An operator forced it.
    Forced = 10,
    /// An operator reset it.
    Reset = 11,
}

/// A change of state, or of the generation within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it stood.
    pub from: State,
    /// Where it stands.
    pub to: State,
    /// The generation that it is in now.
    pub generation: u64,
    /// Why.
    pub reason: Reason,
}

impl Change {
    fn between(before: Breaker, after: Breaker) -> Option<Change> {
        let (from, to) = (before.state, after.state);
        let changed = from != to || before.generation != after.generation;
        changed.then(|| Change { from, to, generation: after.generation, reason: Reason::of(from, to) })
    }
}

impl Reason {
    fn of(from: State, to: State) -> Reason {
        match (from, to) {
            (State::Open, State::HalfOpen) => Reason::OpenEnded,
            (State::HalfOpen, State::HalfOpen) => Reason::ProbesLost,
            (State::HalfOpen, State::Open) => Reason::ProbesFailed,
            (State::HalfOpen, State::Closed | State::Recovering) => Reason::ProbesPassed,
            (State::Recovering, State::Closed) => Reason::Recovered,
            (_, State::ForcedOpen | State::ForcedClosed | State::Disabled) => Reason::Forced,
            (_, State::Closed) => Reason::Reset,
            _ => Reason::Told,
        }
    }
}

/// What an operator may force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// Refuse everything.
    Open,
    /// Let pass and count, and never open.
    Closed,
    /// Let pass, and neither count nor judge.
    Disabled,
}

impl Forced {
    fn state(self) -> State {
        match self {
            Forced::Open => State::ForcedOpen,
            Forced::Closed => State::ForcedClosed,
            Forced::Disabled => State::Disabled,
        }
    }
}

impl Breaker {
    fn probe(self) -> (Breaker, Admission) {
        (Breaker { out: self.out + 1, ..self }, Admission::Probe(self.generation))
    }

    /// What becomes of the breaker, and of a call that asks at `now`.
    pub fn admit(self, timing: &Timing, now: u64) -> (Breaker, Admission) {
        let wait = match self.state {
            State::Closed | State::ForcedClosed => return (self, Admission::Pass(self.generation)),
            State::Disabled => return (self, Admission::Unjudged),
            State::ForcedOpen => return (self, Admission::Refuse(u64::MAX)),
            State::Recovering => return recovery::admit(self, timing, now),
            State::HalfOpen if self.out < timing.probes() => return self.probe(),
            State::HalfOpen => timing.probe_timeout_ns,
            State::Open => timing.open_for_ns,
        };
        match self.left(wait, now) {
            Some(0) => self.begin(State::HalfOpen, now).probe(),
            Some(left) => (self, Admission::Refuse(left)),
            // The clock went back behind this generation's begin: it begins anew, now.
            None => (self.since(now), Admission::Refuse(wait)),
        }
    }

    /// What becomes of the breaker when a probe of `generation` ends. A probe of another one changes nothing.
    pub fn end_probe(self, timing: &Timing, generation: u64, end: ProbeEnd, now: u64) -> Breaker {
        if self.state != State::HalfOpen || self.generation != generation {
            return self;
        }
        match end {
            ProbeEnd::Failed if self.failed >= timing.may_fail() => self.begin(State::Open, now),
            ProbeEnd::Failed => Breaker { failed: self.failed + 1, ..self },
            ProbeEnd::Passed if self.ok + 1 < timing.needed() => Breaker { ok: self.ok + 1, ..self },
            ProbeEnd::Passed if timing.recover_over_ns == 0 => self.begin(State::Closed, now),
            ProbeEnd::Passed => self.begin(State::Recovering, now),
            ProbeEnd::Unjudged => Breaker { out: self.out.saturating_sub(1).max(self.ok + self.failed), ..self },
        }
    }

    /// What becomes of a breaker whose calls of `generation` turned out bad.
    pub fn trip(self, generation: u64, now: u64) -> Breaker {
        let judged = matches!(self.state, State::Closed | State::Recovering);
        if judged && self.generation == generation { self.begin(State::Open, now) } else { self }
    }

    /// The breaker that an operator forces; what is out already changes nothing any more.
    pub fn force(self, forced: Forced, now: u64) -> Breaker {
        if self.state == forced.state() { self } else { self.begin(forced.state(), now) }
    }

    /// The breaker that an operator resets: closed, with an empty window.
    pub fn reset(self, now: u64) -> Breaker {
        self.begin(State::Closed, now)
    }
}

/// Asks the breaker for one call.
pub fn admit<W: Word>(word: &W, timing: &Timing, now: u64) -> (Admission, Option<Change>) {
    transition(word, |breaker| breaker.admit(timing, now))
}

/// Says how a probe of `generation` ended.
pub fn end_probe<W: Word>(word: &W, timing: &Timing, generation: u64, end: ProbeEnd, now: u64) -> Option<Change> {
    transition(word, |breaker| (breaker.end_probe(timing, generation, end, now), ())).1
}

/// Opens a breaker whose calls of `generation` turned out bad, if it is still in that generation.
pub fn trip<W: Word>(word: &W, generation: u64, reason: Reason, now: u64) -> Option<Change> {
    let ((), change) = transition(word, |breaker| (breaker.trip(generation, now), ()));
    change.map(|change| Change { reason, ..change })
}

/// Forces a state, until [`reset`].
pub fn force<W: Word>(word: &W, forced: Forced, now: u64) -> Option<Change> {
    transition(word, |breaker| (breaker.force(forced, now), ())).1
}

/// Closes the breaker, whatever it was, with an empty window.
pub fn reset<W: Word>(word: &W, now: u64) -> Option<Change> {
    transition(word, |breaker| (breaker.reset(now), ())).1
}

/// Applies a transition; the second value is what changed, if something did.
pub fn transition<W: Word, T>(word: &W, mut step: impl FnMut(Breaker) -> (Breaker, T)) -> (T, Option<Change>) {
    let done: Result<_, std::convert::Infallible> = update(word, |seen| {
        let before = Breaker::of(seen);
        let (after, answer) = step(before);
        Ok((after.word(), (answer, Change::between(before, after))))
    });
    match done {
        Ok(done) => done,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests;
