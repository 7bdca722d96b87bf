//! The reference page of the rules document, made from the table of fields.

use std::fmt::Write;

use super::field::{Absent, AnyField, Literal, Shape};
use super::stage::{FEATURES, document};

/// `docs/rules.md` as Markdown: an introduction, an example and a table of the
/// fields of each object.
pub fn reference_markdown() -> String {
    let features = Vec::from_iter(FEATURES.iter().map(|name| format!("`{name}`"))).join(", ");
    let mut page = include_str!("intro.md").replace("@FEATURES@", &features);
    for shape in document::SHAPE.all() {
        page.push_str(&section(shape));
    }
    page
}

fn section(shape: &Shape) -> String {
    let mut text = format!("\n### {}\n\n{}\n\n", shape.name, shape.doc);
    text.push_str("| field | value | when absent | since | meaning |\n|---|---|---|---|---|\n");
    for field in shape.fields {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", row(*field));
    }
    text
}

fn row(field: &dyn AnyField) -> String {
    let (name, since, doc) = (field.name(), field.since(), field.doc());
    format!("| `{name}` | {} | {} | {since} | {doc} |", values(field), absent(field.absent()))
}

/// Type and range, with a link to the object's own table.
fn values(field: &dyn AnyField) -> String {
    match field.shape() {
        Some(shape) => format!("{} ([{1}](#{1}))", field.words(), shape.name),
        None => field.words(),
    }
}

fn absent(absent: &Absent) -> String {
    match absent {
        Absent::Required => String::from("**required**"),
        Absent::Is(Literal::Text(text)) => format!("`\"{text}\"`"),
        Absent::Is(Literal::Number(text)) => format!("`{text}`"),
        Absent::Derived(words) | Absent::Off(words) => (*words).to_string(),
    }
}
