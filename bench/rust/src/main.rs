//! The Rust side of `make bench`. It measures what it is asked for, one line of standard input at a time,
//! so that `bench/run` can alternate between this program and those in C and Go:
//!
//! - `list`: one JSON line with every case, `[{"work": ..., "who": ...}, ...]`;
//! - `run CASE THREADS BETWEEN MILLISECONDS`: one line with the nanoseconds an operation;
//! - `segment`: one JSON line with the segment's bytes per guard and per series.
//!
//! Its arguments are the file of the rules, and that of the policy. `tidegate-bench --write-guest FILE` writes
//! that policy, and ends.

mod composed;
mod floor;
mod measure;
mod peers;
mod pin;
mod policy;
mod segment;
mod tidegate;
mod values;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use measure::{Case, Plan};
use tidegate::Tidegate;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [flag, path] if flag == "--write-guest" => policy::write_guest(path),
        [rules, policy] => serve(rules, policy),
        _ => Err("usage: tidegate-bench RULES.json POLICY.wasm | --write-guest FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tidegate-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn cases(tidegate: &Tidegate) -> Result<Vec<Case>, Failure> {
    let mut cases = floor::cases();
    cases.extend(tidegate.cases()?);
    cases.push(policy::bare_call()?);
    cases.extend(peers::cases());
    cases.push(composed::guard());
    Ok(cases)
}

fn serve(rules: &str, policy: &str) -> Result<(), Failure> {
    let tidegate = Tidegate::open(rules, policy)?;
    let cases = cases(&tidegate)?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = answer(&cases, &line.split(' ').collect::<Vec<_>>())?;
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

fn answer(cases: &[Case], words: &[&str]) -> Result<String, Failure> {
    match words {
        ["segment"] => Ok(segment::segment_bytes()?.to_string()),
        ["list"] => Ok(list(cases)),
        ["run", case, threads, between, ms] => {
            let case = cases.get(case.parse::<usize>()?).ok_or("no such case")?;
            let plan =
                Plan { threads: threads.parse()?, between: *between == "1", time: Duration::from_millis(ms.parse()?) };
            Ok(format!("{:.4}", case.run(plan)))
        }
        _ => Err(format!("not understood: {words:?}").into()),
    }
}

fn list(cases: &[Case]) -> String {
    let entry = |case: &Case| serde_json::json!({"work": case.work, "who": case.who});
    serde_json::Value::from_iter(cases.iter().map(entry)).to_string()
}
