//! What a `rate` has besides where each key has a limit of its own.

use super::FIRST;
use super::overrides::{KEY as A_KEY, Limits, Overrides};
use super::rate::flow_is_possible;
use crate::rate::keyed::{MAX_OVERRIDES, OnFull};
use crate::rules::Report;
use crate::rules::cursor::Object;
use crate::rules::field::{Absent, AnyField, Field};
use crate::rules::kind::{Choice, List, Text, Whole};
use crate::rules::path::quoted;
use crate::rules::rule_set::{KeyedRule, OwnRule};

static KEY: Field<Text> = Field {
    name: "key",
    kind: Text { max: 128 },
    absent: Absent::Off("one limit for all"),
    doc: "Of a token bucket without `max_wait`: each key has a bucket of its own. The name of an attribute: a call's key is its \
          attribute of this name (`\"origin\"` limits by caller); without one, the key that the call was given; without that, the key of \
          no bytes.",
    since: FIRST,
};

static KEYS: Field<Whole<u64>> = Field {
    name: "keys",
    kind: Whole { min: 64, max: 16_777_216 },
    absent: Absent::Derived("10000"),
    doc: "With `key`: for how many keys at once there is room. A key needs its place from its call until its bucket is full again.",
    since: FIRST,
};

static ON_FULL: Field<Choice<OnFull>> = Field {
    name: "on_full",
    kind: Choice { words: &[("shared", OnFull::Shared), ("refuse", OnFull::Refuse), ("allow", OnFull::Allow)] },
    absent: Absent::Derived("`\"shared\"`"),
    doc: "With `key`: what becomes of a key that finds no place: it shares a bucket with others such, or is refused, or passes uncounted.",
    since: FIRST,
};

static OVERRIDES: Field<Overrides> = Field {
    name: "overrides",
    kind: Overrides,
    absent: Absent::Off("no key is special"),
    doc: "With `key`: keys with limits of their own. Together with `allow` and `deny` at most 64; a key that begins with `x-` cannot be one.",
    since: FIRST,
};

static ALLOW: Field<List<Text>> = Field {
    name: "allow",
    kind: List { item: A_KEY, min: 1, max: MAX_OVERRIDES },
    absent: Absent::Off("none"),
    doc: "With `key`: keys that always pass this limit.",
    since: FIRST,
};

static DENY: Field<List<Text>> = Field {
    name: "deny",
    kind: List { item: A_KEY, min: 1, max: MAX_OVERRIDES },
    absent: Absent::Off("none"),
    doc: "With `key`: keys that never pass.",
    since: FIRST,
};

static HOTTEST: Field<Whole<u64>> = Field {
    name: "hottest",
    kind: Whole { min: 0, max: 64 },
    absent: Absent::Derived("16"),
    doc: "With `key`: how many of the keys that call most can be read: 8 to 64, or 0 for none.",
    since: FIRST,
};

pub(super) const FIELDS: [&dyn AnyField; 7] = [&KEY, &KEYS, &ON_FULL, &OVERRIDES, &ALLOW, &DENY, &HOTTEST];

/// What is said of keys, and whether it may be: `cannot` is why this limit can have no key, if it cannot.
pub(super) fn read(
    object: &Object<'_>,
    per_ns: Option<u64>,
    cannot: Option<&str>,
    report: &mut Report,
) -> Option<KeyedRule> {
    let key = object.get(&KEY, report);
    let keys = object.get(&KEYS, report).unwrap_or(10_000);
    let on_full = object.get(&ON_FULL, report).unwrap_or_default();
    let overrides = object.get(&OVERRIDES, report).unwrap_or_default();
    let lists = [(&ALLOW, OwnRule::Allow), (&DENY, OwnRule::Deny)];
    let lists = lists.map(|(field, what)| (field.name, what, object.get(field, report).unwrap_or_default()));
    let hottest = object.get(&HOTTEST, report).unwrap_or(16);
    if !object.names(KEY.name) {
        refuse_without_key(object, report);
        return None;
    }
    if let Some(why) = cannot {
        object.refuse(KEY.name, why.to_owned(), report);
    }
    if (1..8).contains(&hottest) {
        object.refuse(HOTTEST.name, format!("expected 0 or a number from 8 to 64, got {hottest}"), report);
    }
    let mut own = limits_of(overrides, per_ns.unwrap_or(1), object, report);
    lists.into_iter().for_each(|(field, what, keys)| add(&mut own, field, what, keys, object, report));
    Some(KeyedRule { key: key?, keys, on_full, own, hottest: hottest as usize })
}

fn refuse_without_key(object: &Object<'_>, report: &mut Report) {
    for field in FIELDS.iter().filter(|field| object.names(field.name())) {
        object.refuse(
            field.name(),
            String::from("without a key there is none; expected it beside \"key\" only"),
            report,
        );
    }
}

fn limits_of(
    overrides: Vec<(String, Limits)>,
    per_ns: u64,
    object: &Object<'_>,
    report: &mut Report,
) -> Vec<(String, OwnRule)> {
    let mut own = Vec::with_capacity(overrides.len());
    for (key, Limits { limit, per_ns: own_per, burst }) in overrides {
        let per_ns = own_per.unwrap_or(per_ns);
        if own_per.is_none() && !flow_is_possible(limit, per_ns) {
            let what = format!("{}: expected between one unit in 365 days and 10^10 units a second", quoted(&key));
            object.refuse(OVERRIDES.name, what, report);
        }
        own.push((key, OwnRule::Limit { limit, per_ns, burst }));
    }
    own
}

/// Adds a list's keys, each once among all.
fn add(
    own: &mut Vec<(String, OwnRule)>,
    field: &str,
    what: OwnRule,
    keys: Vec<String>,
    object: &Object<'_>,
    report: &mut Report,
) {
    for key in keys {
        if own.iter().any(|(known, _)| *known == key) {
            object.refuse(field, format!("{} stands in more than one place; keep one", quoted(&key)), report);
        }
        own.push((key, what));
    }
    if own.len() > MAX_OVERRIDES {
        let what = format!("{} keys are special with these; expected at most {MAX_OVERRIDES} in all", own.len());
        object.refuse(field, what, report);
    }
}
