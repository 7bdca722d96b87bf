//! `guards`: the guards by name.

use std::collections::BTreeMap;

use super::guard::{Draft, GUARD, SHAPE};
use crate::rules::cursor::At;
use crate::rules::field::{Kind, Shape};
use crate::rules::kind::Text;
use crate::rules::path::Path;
use crate::rules::{MAX_GUARD_NAME_BYTES, MAX_GUARDS, Report};
use serde_json::{Value, json};

const NAME: Text = Text { max: MAX_GUARD_NAME_BYTES };

/// An object of guards, at most [`MAX_GUARDS`].
pub(super) struct Guards;

impl Kind for Guards {
    type Out = BTreeMap<String, Draft>;

    fn read(&self, at: At<'_>, report: &mut Report) -> Option<Self::Out> {
        let members = at.members(report)?;
        let count = members.fields.len();
        if count > MAX_GUARDS {
            report.add(at.path, || format!("expected {}, got {count}", self.words()));
            return None;
        }
        let mut guards = BTreeMap::new();
        for (name, node) in &members.fields {
            let path = Path::Key(at.path, name);
            check_name(name, &path, report);
            let draft = GUARD.read(At { node, path: &path }, report);
            guards.extend(draft.map(|draft| (name.clone(), draft)));
        }
        Some(guards)
    }

    fn words(&self) -> String {
        format!("an object of at most {MAX_GUARDS} guards")
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "maxProperties": MAX_GUARDS,
            "propertyNames": NAME.schema(),
            "patternProperties": { "^x-": true, "^(?!x-)": GUARD.schema() },
        })
    }

    fn shape(&self) -> Option<&'static Shape> {
        Some(&SHAPE)
    }
}

fn check_name(name: &str, path: &Path<'_>, report: &mut Report) {
    if !NAME.allows(name) {
        let (want, got) = (NAME.words(), name.len());
        report.add(path, || format!("expected a guard name to be {want}, got one of {got} bytes"));
    }
}
