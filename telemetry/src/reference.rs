//! The reference page of the metrics, made from the table that the page of metrics is made from.

use crate::own::{Own, TABLE, reason};
use std::fmt::Write;
use tidegate_core::breaker::state::State;
use tidegate_core::retry::Reason;
use tidegate_core::{Outcome, Stage};

/// `docs/metrics.md` as Markdown: an introduction, and a table of the runtime's metrics and their labels' values.
pub fn reference_markdown() -> String {
    let mut page = String::from(include_str!("intro.md"));
    for (title, families) in &TABLE {
        let _ = write!(page, "\n## {title}\n\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
        families.iter().for_each(|own| page.push_str(&row(own)));
    }
    page.push_str(&label_values());
    page
}

fn row(own: &Own) -> String {
    let Own { name, kind, unit, help, .. } = own;
    let labels = listed(own.labels.iter().copied());
    format!("| `{name}{}` | {} | {unit} | {labels} | {help} |\n", kind.suffix(), kind.name())
}

fn label_values() -> String {
    let mut text = String::from("\n## Values of labels\n\n| label | values |\n|---|---|\n");
    let _ = writeln!(text, "| `outcome` | {} |", listed(Outcome::ALL.iter().map(|outcome| outcome.name())));
    text.push_str(
        "| `result` of requests | `ok` (success, ignored), `error` (failure, timeout, overloaded), `cancelled`, `rejected` |\n",
    );
    let reasons = listed(Reason::ALL.iter().map(|reason| reason.name()));
    let _ = writeln!(text, "| `result` of retry attempts | `retry`, or why there was none: {reasons} |");
    let stages = Stage::ALL.iter().map(|stage| format!("`{}`: `{}`", stage.name(), reason(*stage)));
    let _ = writeln!(text, "| `stage` and its `reason` | {} |", stages.collect::<Vec<_>>().join(", "));
    let _ = writeln!(text, "| `state`, `to` | {} |", listed(State::ALL.iter().map(|state| state.name())));
    text.push_str("| `kind` | `guard`, `counter`, `gauge`, `histogram` |\n");
    text.push_str(
        "\nGuards beyond the segment's number share the guard `tidegate.overflow`, which is shown once it is used.\n",
    );
    text
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
