//! The field that every stage has.

use super::FIRST;
use crate::rules::field::{Absent, Field, Literal};
use crate::rules::kind::Choice;
use crate::rules::rule_set::Mode;

pub(super) static MODE: Field<Choice<Mode>> = Field {
    name: "mode",
    kind: Choice { words: &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow), ("off", Mode::Off)] },
    absent: Absent::Is(Literal::Text("enforce")),
    doc: "`enforce` refuses calls; `shadow` counts what it would have refused and lets it pass; \
          `off` skips the stage.",
    since: FIRST,
};
