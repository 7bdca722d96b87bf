//! The Rust side of `make bench`. It measures what it is asked for, one line of standard input at a time,
//! so that `bench/run` can alternate between this program and those in C and Go:
//!
//! - `list`: one JSON line with every case, `[{"work": ..., "who": ...}, ...]`;
//! - `run CASE THREADS BETWEEN MILLISECONDS`: one line with the nanoseconds an operation;
//! - `segment`: one JSON line with the segment's bytes per guard and per series.
//!
//! Its arguments are the file of the rules, and that of the policy. `tidegate-bench --keyed KEYS` has the limits by key alone, filled
//! with so many, and answers `segment` with the bytes that a key takes of each. `tidegate-bench --write-guest FILE` writes
//! that policy, and ends.

mod alone;
mod composed;
mod counting;
mod decisions;
mod floor;
mod keyed;
mod measure;
mod needs;
mod peers;
mod pin;
mod policy;
mod segment;
mod stages;
mod tidegate;
mod values;

use std::io::{self, BufRead, Write};
use std::panic;
use std::process::{self, ExitCode};
use std::time::Duration;

use measure::{Case, Plan};
use serde_json::Value;
use tidegate::Tidegate;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    end_on_panic();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [flag, path] if flag == "--write-guest" => policy::write_guest(path),
        [flag, keys] if flag == "--keyed" => serve_keyed(keys),
        [rules, policy] => serve_all(rules, policy),
        _ => Err("usage: tidegate-bench RULES.json POLICY.wasm | --keyed KEYS | --write-guest FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tidegate-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A thread that panics would leave the others waiting for it.
fn end_on_panic() {
    panic::set_hook(Box::new(|why| {
        eprintln!("tidegate-bench: {why}");
        process::exit(1);
    }));
}

fn cases(tidegate: &Tidegate) -> Result<Vec<Case>, Failure> {
    let mut cases = floor::cases();
    cases.extend(tidegate.cases()?);
    cases.push(policy::bare_call()?);
    cases.extend(peers::cases());
    cases.extend(decisions::cases());
    cases.push(composed::guard());
    Ok(cases)
}

fn serve_all(rules: &str, policy: &str) -> Result<(), Failure> {
    let tidegate = Tidegate::open(rules, policy)?;
    serve(&cases(&tidegate)?, &segment::segment_bytes)
}

fn serve_keyed(keys: &str) -> Result<(), Failure> {
    let stand = keyed::stand(keys.parse()?)?;
    serve(&stand.cases, &|| Ok(stand.bytes.clone()))
}

/// Answers each line of the standard input.
fn serve(cases: &[Case], bytes: &dyn Fn() -> Result<Value, Failure>) -> Result<(), Failure> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.as_str() {
            "segment" => bytes()?.to_string(),
            "list" => list(cases),
            run => measured(cases, &run.split(' ').collect::<Vec<_>>())?,
        };
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

fn measured(cases: &[Case], words: &[&str]) -> Result<String, Failure> {
    let ["run", case, threads, between, ms] = words else { return Err(format!("not understood: {words:?}").into()) };
    let case = cases.get(case.parse::<usize>()?).ok_or("no such case")?;
    let time = Duration::from_millis(ms.parse()?);
    let plan = Plan { threads: threads.parse()?, between: *between == "1", time };
    Ok(format!("{:.4}", case.run(plan)))
}

fn list(cases: &[Case]) -> String {
    let entry = |case: &Case| serde_json::json!({"work": case.work, "who": case.who});
    Value::from_iter(cases.iter().map(entry)).to_string()
}
