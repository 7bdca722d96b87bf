//! `system`: protects the whole process, by the CPU and the memory of its container.

use super::FIRST;
use super::mode::MODE;
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::field::{Absent, Field, Shape};
use crate::rules::kind::{Decimal, Record};
use crate::rules::rule_set::SystemRule;

static CPU: Field<Decimal> = Field {
    name: "cpu",
    kind: Decimal { max: 1 },
    absent: Absent::Off("not looked at"),
    doc: "The share of the container's CPU above which no more calls pass than the guard has lately been able to serve. \
          Exact to a thousandth.",
    since: FIRST,
};

static MEMORY: Field<Decimal> = Field {
    name: "memory",
    kind: Decimal { max: 1 },
    absent: Absent::Off("not looked at"),
    doc: "The same of its memory, without caches that can be dropped at once.",
    since: FIRST,
};

static SHAPE: Shape = Shape {
    name: "system",
    doc: "Refuses calls while the container's CPU or memory is used beyond a threshold and more calls are in flight than \
          the guard has lately been able to serve. At least one of `cpu` and `memory` has to be there, and somebody has to \
          sample the container: see system.md.",
    fields: &[&CPU, &MEMORY, &MODE],
    one_of: &["cpu", "memory"],
};

pub(super) const SYSTEM: Record<SystemRule> = Record { shape: &SHAPE, build };

fn build(object: &Object<'_>, report: &mut Report) -> Option<SystemRule> {
    let cpu = object.get(&CPU, report);
    let memory = object.get(&MEMORY, report);
    let mode = object.get(&MODE, report);
    Some(SystemRule { cpu, memory, mode: mode? })
}
