//! Writes `docs/metrics.md` from the table of metrics: `cargo run -p tidegate-telemetry --example metrics_docs`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::create_dir_all(&docs)?;
    std::fs::write(docs.join("metrics.md"), tidegate_telemetry::reference_markdown())
}
