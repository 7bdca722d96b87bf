//! Writes `docs/rules.md` and `docs/rules.schema.json` from the table of fields:
//! `cargo run -p tidegate-core --example rules_docs`.

use std::path::Path;
use tidegate_core::rules::{reference_markdown, schema_json};

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::create_dir_all(&docs)?;
    std::fs::write(docs.join("rules.md"), reference_markdown())?;
    std::fs::write(docs.join("rules.schema.json"), schema_json())
}
