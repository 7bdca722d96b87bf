//! `policy`: the WASM policy that is asked about each call.

use super::FIRST;
use super::mode::MODE;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::field::{Absent, Field, Literal, Shape};
use crate::rules::kind::{Choice, Record, Text};
use crate::rules::rule_set::PolicyRule;

static NAME: Field<Text> = Field {
    name: "name",
    kind: Text { max: 64 },
    absent: Absent::Required,
    doc: "The name that the policy is loaded under. It may be loaded later; until then `on_fail` answers.",
    since: FIRST,
};

static ON_FAIL: Field<Choice<bool>> = Field {
    name: "on_fail",
    kind: Choice { words: &[("allow", true), ("deny", false)] },
    absent: Absent::Is(Literal::Text("allow")),
    doc: "What a call gets when the policy cannot answer: not loaded, busy, trapped or too slow.",
    since: FIRST,
};

static SHAPE: Shape =
    Shape { name: "policy", doc: "Asks a policy about each call.", fields: &[&NAME, &ON_FAIL, &MODE], one_of: &[] };

pub(super) const POLICY: Record<PolicyRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<PolicyRule> {
    let name = object.get(&NAME, report);
    let on_fail = object.get(&ON_FAIL, report);
    let mode = object.get(&MODE, report);
    Some(PolicyRule { name: name?, on_fail_allow: on_fail?, mode: mode? })
}
