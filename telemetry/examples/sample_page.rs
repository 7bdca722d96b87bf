//! Prints a page that has one of everything, for checks by other parsers:
//! `cargo run -p tidegate-telemetry --example sample_page -- openmetrics` (or `text`).

#[path = "../tests/common/sample.rs"]
mod sample;

use tidegate_telemetry::{Format, render};

fn main() {
    let format = match std::env::args().nth(1).as_deref() {
        Some("openmetrics") => Format::OpenMetrics,
        Some("text") => Format::PrometheusText,
        _ => {
            eprintln!("usage: sample_page openmetrics|text");
            std::process::exit(2);
        }
    };
    print!("{}", render(&sample::snapshot(), &sample::policies(), format));
}
