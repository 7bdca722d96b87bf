//! What Prometheus' own tool says of the pages.

mod common;

use common::sample;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tidegate_telemetry::{Format, render};

const MISSING: &str = "promtool is missing; it comes with the Debian package prometheus (apt-get install prometheus)";

fn promtool(args: &[&str], input: &str) -> Output {
    let mut command = Command::new("promtool");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{MISSING}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn check_metrics_finds_nothing() {
    let page = render(&sample::snapshot(), &sample::policies(), Format::PrometheusText);
    let output = promtool(&["check", "metrics"], &page);
    assert!(output.status.success() && said(&output).is_empty(), "{}\n{page}", said(&output));
}

#[test]
fn check_metrics_would_find_something() {
    let page = render(&sample::snapshot(), &sample::policies(), Format::PrometheusText);
    let broken = page.replace("# TYPE tidegate_rules_version gauge", "# TYPE tidegate_rules_version counter");
    assert!(!promtool(&["check", "metrics"], &broken).status.success());
}

/// `check metrics` does not read OpenMetrics, but the importer does. It wants a time on each sample.
#[test]
fn the_importer_reads_openmetrics() {
    let page = render(&sample::snapshot(), &sample::policies(), Format::OpenMetrics);
    let stamped = |line: &str| if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1700000000\n") };
    let timed: String = page.strip_suffix('\n').unwrap().split('\n').map(stamped).collect();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("promtool-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (input, blocks) = (directory.join("page.txt"), directory.join("blocks"));
    std::fs::write(&input, timed).unwrap();
    let importer = ["tsdb", "create-blocks-from", "openmetrics", input.to_str().unwrap(), blocks.to_str().unwrap()];
    let output = promtool(&importer, "");
    let made = std::fs::read_dir(&blocks).is_ok_and(|mut entries| entries.next().is_some());
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(output.status.success() && made, "{}", said(&output));
}
