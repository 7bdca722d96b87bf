//! The other end of entering: a stage refused, or the rules changed meanwhile. What was taken is given back.

use super::cell::{MAX_RATES, REJECTED};
use super::concurrency_stage::give_place_back;
use super::permit::{Marks, PROBE, Permit, PermitState, THROTTLED};
use super::taken::{Taken, Tokens};
use super::{Call, NotEntered, Stage};
use crate::breaker::state::{self, ProbeEnd};
use crate::error::ErrorKind;
use crate::policy::{RECORD_VERSION, Record};
use crate::runtime::current;
use crate::slot::lane::Count;

/// How often enter begins again when rules change under it, before it gives up.
const TRIES: u64 = 16;

/// Why an attempt ended without a permit.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    /// A stage refused: when to come back, and its own reason.
    Refused { stage: Stage, retry_after_ns: u64, reason: u32 },
    /// The numbers were replaced meanwhile.
    Again,
}

impl Ended {
    /// A refusal of which no more is known.
    pub(super) fn by(stage: Stage) -> Ended {
        Ended::Refused { stage, retry_after_ns: 0, reason: 0 }
    }
}

impl Taken<'_> {
    /// Gives all back, then refuses, or begins again when the rules changed.
    #[cold]
    pub(super) fn turn_away(
        self,
        ended: Ended,
        tokens: &Tokens,
        call: &Call<'_>,
        permit: &mut Permit,
    ) -> Result<(), NotEntered> {
        self.give_all_back(tokens, call);
        match ended {
            Ended::Refused { stage, retry_after_ns, reason } if self.guard.is_as(self.facts) => {
                self.run.add(REJECTED + stage as usize, 1);
                *permit = Permit {
                    guard: self.guard,
                    token: current(self.guard.shared).token,
                    start_ns: self.now,
                    marks: Marks::refused(stage as u8),
                    retry_after_ns,
                    reason,
                    ..Permit::default()
                };
                permit.seal_as(PermitState::Refused);
                Err(NotEntered::Refused(stage))
            }
            _ => self.again(call, permit),
        }
    }

    /// Begins again; a permit that was begun too often counts its tries in its reason.
    fn again(self, call: &Call<'_>, permit: &mut Permit) -> Result<(), NotEntered> {
        let tries = permit.again_count() + 1;
        *permit = Permit::default();
        if !self.guard.is_alive() {
            return Err(NotEntered::Failed(ErrorKind::Closed));
        }
        if tries > TRIES {
            return Err(NotEntered::Failed(ErrorKind::Busy));
        }
        permit.count_again(tries);
        self.guard.enter_anew(call, permit)
    }

    /// Gives back everything, in the order opposite to that of the stages.
    fn give_all_back(&self, tokens: &Tokens, call: &Call<'_>) {
        if tokens.limits != 0 {
            self.give_keys_back(tokens, call);
            let waits = &tokens.waits[..tokens.limits.min(MAX_RATES)];
            self.guard.give_rates_back(self.numbers(), waits, &tokens.costs, self.now);
        }
        if let Some(epoch) = self.place {
            give_place_back(self.guard, self.run, epoch);
        }
        if self.marks.has(THROTTLED)
            && let Some(further) = self.facts.further()
        {
            further.forget_throttled(self.now);
        }
        if self.delayed.place != 0 {
            self.guard.end_delay(self.delayed.place);
        }
        if self.go.observer != 0 {
            self.guard.tell_policy(self.go.observer, &empty_record(self.now, self.cost), 255, 0);
        }
        if self.marks.has(PROBE) {
            let (timing, generation) = (self.numbers().timing(), state::generation_of(self.breaker));
            // Giving a probe back changes no state.
            state::end_probe(&self.guard.cell().hot.breaker, &timing, generation, ProbeEnd::Unjudged, self.now);
        }
    }
}

/// The record of a call of which no more is known.
fn empty_record(now_ns: u64, cost: u64) -> Record {
    Record {
        size: size_of::<Record>() as u16,
        version: RECORD_VERSION,
        now_ns,
        remaining_ns: u64::MAX,
        cost: u32::try_from(cost).unwrap_or(u32::MAX),
        ..Record::default()
    }
}

/// The record of a call that was decided, as far as the permit remembers it.
pub(super) fn record_of(permit: &Permit) -> Record {
    Record {
        criticality: permit.marks.criticality(),
        key_hash: permit.followed.key_hash,
        ..empty_record(permit.start_ns, permit.followed.cost)
    }
}
