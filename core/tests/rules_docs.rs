//! The pages under docs/ are what the table of fields generates.

use std::fs::read_to_string;
use std::path::Path;
use tidegate_core::rules::{parse, reference_markdown, schema_json};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

const STALE: &str = "stale: run `cargo run -p tidegate-core --example rules_docs`";

#[test]
fn the_reference_is_the_generated_one() {
    assert!(page("rules.md") == reference_markdown(), "docs/rules.md is {STALE}");
}

#[test]
fn the_schema_is_the_generated_one() {
    assert!(page("rules.schema.json") == schema_json(), "docs/rules.schema.json is {STALE}");
}

#[test]
fn the_example_is_accepted() {
    let text = page("rules.md");
    let example = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let rules = parse(example.expect("an example").as_bytes()).expect("valid rules");
    assert_eq!(rules.guard("payments.charge").timeout_ns, Some(800_000_000));
}
