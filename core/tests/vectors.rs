//! The vectors of `tests/vectors`: sequences on the virtual clock, to which the C interface and every binding give the same
//! answers.

use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tidegate_core::breaker::counts::{Denied, Ending, Rule, Ticket};
use tidegate_core::breaker::handle::CountedBreaker;
use tidegate_core::breaker::transition::Forced;
use tidegate_core::clock::ClockSource;
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::hedging::{Hedged, Hedging};
use tidegate_core::guard::retrying::Retrying;
use tidegate_core::limiter::{self, Algorithm, Limiter, NotTaken, Reserved};
use tidegate_core::metrics::instrument::Description;
use tidegate_core::policy::Attribute;
use tidegate_core::retry::plan::{Attempt, Decision, Reason};
use tidegate_core::segment::SegmentOptions;
use tidegate_core::system::gate::Load;
use tidegate_core::{Call, Criticality, ErrorKind, NotEntered, Options, Outcome, Permit, Runtime, Stage};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

/// A test for each folder, and one that none is forgotten.
macro_rules! folders {
    ($($folder:ident),*) => {
        $(#[test]
        fn $folder() {
            run_folder(stringify!($folder));
        })*

        #[test]
        fn no_folder_is_forgotten() {
            let mut found: Vec<String> = std::fs::read_dir(root())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            assert_eq!(found, [$(stringify!($folder)),*]);
        }
    };
}

folders!(
    breaker,
    concurrency,
    counted,
    counter,
    deadline,
    fault,
    fixed_window,
    follow,
    guard,
    hedge,
    histogram,
    keyed,
    limiter,
    pacing,
    retry,
    rules,
    sliding_counter,
    sliding_window,
    system,
    throttle,
    token_bucket,
    warm_up
);

fn run_folder(folder: &str) {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let faults: Vec<String> = paths.iter().flat_map(|path| run_vector(path)).collect();
    assert!(!paths.is_empty() && faults.is_empty(), "{}", faults.join("\n"));
}

/// What went otherwise than a vector says.
fn run_vector(path: &Path) -> Vec<String> {
    let vector: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let clock = ClockSource::Virtual(vector["start_ns"].as_u64().unwrap());
    let faults = vector.get("faults").is_some_and(|faults| faults.as_bool().unwrap());
    let runtime = Runtime::open(&Options { segment: SegmentOptions::default(), clock, faults }).unwrap();
    if let Some(rules) = vector.get("rules") {
        runtime.apply_rules(rules.to_string().as_bytes()).unwrap();
    }
    for guard in vector["guards"].as_array().unwrap() {
        runtime.guard(guard.as_str().unwrap()).unwrap();
    }
    let mut run = Run {
        runtime,
        reserved: HashMap::new(),
        permits: HashMap::new(),
        breakers: HashMap::new(),
        tickets: HashMap::new(),
        retries: HashMap::new(),
        hedges: HashMap::new(),
        faults: Vec::new(),
    };
    for (number, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
        let before = run.faults.len();
        run.step(step);
        let place = format!("{}, step {number}: ", path.file_name().unwrap().to_string_lossy());
        run.faults[before..].iter_mut().for_each(|fault| fault.insert_str(0, &place));
    }
    run.faults
}

struct Run {
    reserved: HashMap<String, Reserved>,
    runtime: Runtime,
    permits: HashMap<String, Permit>,
    breakers: HashMap<String, (&'static CountedBreaker, u64)>,
    tickets: HashMap<String, Ticket>,
    retries: HashMap<String, Retrying>,
    hedges: HashMap<String, Hedging>,
    faults: Vec<String>,
}

impl Run {
    fn step(&mut self, step: &Value) {
        if let Some(ns) = step.get("at_ns") {
            self.runtime.clock().set(ns.as_u64().unwrap()).unwrap();
        }
        match text(step, "op") {
            "enter" => self.enter(step),
            "exit" => self.exit(step),
            "rules" => self.rules(step),
            "stats" => self.stats(step),
            "record" => self.record(step),
            "quantile" => self.quantile(step),
            "count" => self.count(step),
            "hottest" => self.hottest(step),
            "retry" => self.retry(step),
            "retry_next" => self.retry_next(step),
            "retry_abandon" => self.retry_abandon(step),
            "hedge" => self.hedge(step),
            "hedge_next" => self.hedge_next(step),
            "hedge_end" => self.hedge_end(step),
            "set_breaker" => self.set_breaker(step),
            "breaker" => self.counted(step),
            "ask" => self.ask(step),
            "limiter" | "set_limiter" => self.limiter(step),
            "take" => self.take(step),
            "reserve" => self.reserve(step),
            "cancel" => self.cancel(step),
            "tokens" => self.tokens(step),
            "end" => self.end(step),
            "trip" => self.trip(step),
            "counts" => self.counts(step),
            "load" => self.load(step),
            other => self.faults.push(format!("no such op: {other}")),
        }
    }

    fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: T, want: Option<T>) {
        if want.as_ref().is_some_and(|want| *want != got) {
            self.faults.push(format!("{what} is {got:?}, want {want:?}"));
        }
    }

    fn expect_status(&mut self, step: &Value, got: String) {
        let want = step.get("expect").and_then(Value::as_str).unwrap_or("TG_OK").to_owned();
        self.expect("status", got, Some(want));
    }

    fn guard(&self, step: &Value) -> &'static Guard {
        self.runtime.guard(text(step, "guard")).unwrap()
    }

    fn enter(&mut self, step: &Value) {
        let named = attributes(step);
        let ids = named.iter().map(|(name, value)| (self.runtime.attribute(name).unwrap(), value.as_bytes()));
        let attributes: Vec<Attribute<'_>> = ids.map(|(id, value)| Attribute { id, value }).collect();
        let call = Call {
            cost: number(step, "cost").unwrap_or(0),
            key: step.get("key").and_then(Value::as_str).unwrap_or("").as_bytes(),
            attributes: &attributes,
            level: number(step, "level").map_or(99, |level| level as u8),
            ..self.call(step)
        };
        let mut permit = Permit::default();
        let entered = self.guard(step).enter(&call, &mut permit);
        self.expect_status(step, status_of_entry(entered));
        self.expect("retry after", permit.retry_after_ns(), number(step, "retry_after_ns"));
        self.expect("wait", permit.wait_ns(), number(step, "wait_ns"));
        self.expect("reason", u64::from(permit.reason()), number(step, "reason"));
        if let Some(name) = step.get("as").and_then(Value::as_str) {
            self.permits.insert(name.to_owned(), permit);
        }
    }

    /// What `retry` and `hedge` say of a call, and `enter` too.
    fn call(&self, step: &Value) -> Call<'static> {
        let criticality = match step.get("criticality").map(|value| value.as_str().unwrap()) {
            Some("critical") => Criticality::Critical,
            Some("sheddable") => Criticality::Sheddable,
            _ => Criticality::Default,
        };
        let once = step.get("once").is_some_and(|once| once.as_bool().unwrap());
        Call { timeout_ns: number(step, "timeout_ns").unwrap_or(0), criticality, once, ..Call::default() }
    }

    fn retry(&mut self, step: &Value) {
        let retry = self.guard(step).begin_retry(&self.call(step)).unwrap();
        self.retries.insert(text(step, "as").to_owned(), retry);
    }

    fn retry_next(&mut self, step: &Value) {
        let attempt = match text(step, "outcome") {
            "refused" => Attempt::Refused,
            _ => Attempt::Ended(outcome_of(step)),
        };
        let retry = self.retries.get_mut(text(step, "retry")).unwrap();
        let (status, wait) = match retry.next(attempt, number(step, "retry_after_ns").unwrap_or(0)).unwrap() {
            Decision::Retry { wait_ns } => ("TG_OK".to_owned(), wait_ns),
            Decision::Stop(reason) => (stopped(reason), 0),
            Decision::Stale => panic!("stale"),
        };
        self.expect_status(step, status);
        self.expect("wait", wait, number(step, "wait_ns"));
    }

    fn retry_abandon(&mut self, step: &Value) {
        self.retries.get_mut(text(step, "retry")).unwrap().abandon().unwrap();
    }

    fn hedge(&mut self, step: &Value) {
        let hedge = self.guard(step).begin_hedge(&self.call(step)).unwrap();
        self.hedges.insert(text(step, "as").to_owned(), hedge);
    }

    fn hedge_next(&mut self, step: &Value) {
        let (status, wait) = match self.hedges.get_mut(text(step, "hedge")).unwrap().ask().unwrap() {
            Hedged::Send => ("TG_OK".to_owned(), 0),
            Hedged::Wait(ns) => ("TG_OK".to_owned(), ns),
            Hedged::Stop(reason) => (stopped(reason), 0),
        };
        self.expect_status(step, status);
        self.expect("wait", wait, number(step, "wait_ns"));
    }

    fn hedge_end(&mut self, step: &Value) {
        self.hedges.get_mut(text(step, "hedge")).unwrap().end(outcome_of(step)).unwrap();
    }

    fn exit(&mut self, step: &Value) {
        let outcome = outcome_of(step);
        let exited = self.permits.get_mut(text(step, "permit")).unwrap().exit(outcome);
        self.expect_status(step, exited.map_or_else(status_of, |()| "TG_OK".into()));
    }

    fn rules(&mut self, step: &Value) {
        let applied = self.runtime.apply_rules(step["rules"].to_string().as_bytes());
        self.expect_status(step, applied.map_or_else(|error| status_of(error.kind), |()| "TG_OK".into()));
    }

    fn stats(&mut self, step: &Value) {
        let stats = self.guard(step).stats().unwrap();
        let breaker = match stats.breaker {
            None => "disabled".to_owned(),
            Some(state) => state.name().to_owned(),
        };
        self.expect("breaker", breaker, step.get("breaker").and_then(Value::as_str).map(str::to_owned));
        self.expect("inflight", stats.inflight, number(step, "inflight"));
        self.expect("limit", stats.limit, number(step, "limit"));
        let retries = stats.retries.unwrap_or_default();
        self.expect("budget left", retries.budget_left, number(step, "budget_left"));
        self.expect("retries", retries.decided[0], number(step, "retries"));
        self.expect("hedges", retries.hedges, number(step, "hedges"));
        for stage in Stage::ALL {
            let want = step.get("rejected").and_then(|rejected| number(rejected, stage.name()));
            self.expect(stage.name(), stats.rejected[stage as usize], want);
            let want = step.get("shadow_rejected").and_then(|rejected| number(rejected, stage.name()));
            self.expect(stage.name(), stats.shadow_rejected[stage as usize], want);
        }
        for outcome in Outcome::ALL {
            let want = step.get("calls").and_then(|calls| number(calls, outcome.name()));
            self.expect(outcome.name(), stats.calls[outcome as usize], want);
        }
        for stage in Stage::ALL {
            let want = step.get("shadow_rejected").and_then(|counts| number(counts, stage.name()));
            self.expect(stage.name(), stats.shadow_rejected[stage as usize], want);
        }
    }

    fn load(&mut self, step: &Value) {
        let permille = |name: &str| (step[name].as_f64().unwrap_or(0.0) * 1000.0).round() as u32;
        self.runtime.set_load(Load { cpu: permille("cpu"), memory: permille("memory") }).unwrap();
    }

    /// Finds or makes a limiter, or gives it other options.
    fn limiter(&mut self, step: &Value) {
        let number = |field| number(step, field).unwrap_or(0);
        let real = |field: &str| step.get(field).map_or(0.0, |value| value.as_f64().unwrap());
        let names = ["token_bucket", "pacing", "fixed_window", "sliding_counter", "sliding_window", "warm_up"];
        let algorithm = step.get("algorithm").map_or("token_bucket", |name| name.as_str().unwrap());
        let options = limiter::Options {
            algorithm: Algorithm::ALL[names.iter().position(|name| *name == algorithm).unwrap()],
            limit: real("rate"),
            per_ns: number("per_ns"),
            burst: step.get("burst").map(|burst| burst.as_u64().unwrap()),
            max_wait_ns: number("max_wait_ns"),
            buckets: number("buckets") as u32,
            warm_up_ns: number("warm_up_ns"),
            cold_factor: real("cold_factor"),
        };
        let name = text(step, "limiter");
        let made = match text(step, "op") {
            "limiter" => self.runtime.limiter(name, Some(&options)).map(drop),
            _ => self.limiter_of(step).set(&options, 0),
        };
        self.expect_status(step, made.map_or_else(|error| status_of(error.kind), |()| "TG_OK".into()));
    }

    fn limiter_of(&self, step: &Value) -> &'static Limiter {
        self.runtime.limiter(text(step, "limiter"), None).unwrap()
    }

    fn take(&mut self, step: &Value) {
        let taken = self.limiter_of(step).take(number(step, "cost").unwrap_or(1), 0);
        self.expect_taken(step, taken);
    }

    fn expect_taken(&mut self, step: &Value, taken: Result<u64, NotTaken>) {
        let (status, ns) = match taken {
            Ok(wait) => ("TG_OK".to_owned(), wait),
            Err(NotTaken::Refused(after)) => ("TG_REFUSED_RATE".to_owned(), after),
            Err(NotTaken::Failed(kind)) => (status_of(kind), 0),
        };
        self.expect_status(step, status);
        self.expect("wait", ns, number(step, "wait_ns"));
    }

    fn reserve(&mut self, step: &Value) {
        let most = number(step, "max_wait_ns").unwrap_or(u64::MAX);
        let reserved = self.limiter_of(step).reserve(number(step, "cost").unwrap_or(1), 0, most);
        self.expect_taken(step, reserved.map(|reserved| reserved.wait_ns));
        self.reserved.insert(text(step, "as").to_owned(), reserved.unwrap_or_default());
    }

    fn cancel(&mut self, step: &Value) {
        let limiter = self.limiter_of(step);
        let cancelled = limiter.cancel(self.reserved.get_mut(text(step, "reservation")).unwrap(), 0);
        self.expect_status(step, cancelled.map_or_else(status_of, |()| "TG_OK".into()));
    }

    fn tokens(&mut self, step: &Value) {
        let (got, want) = (self.limiter_of(step).tokens(0).unwrap(), step["tokens"].as_f64().unwrap());
        if (got - want).abs() > 1e-6 {
            self.faults.push(format!("tokens are {got}, want {want}"));
        }
    }

    /// Names in the order of their counts.
    fn hottest(&mut self, step: &Value) {
        let hot = self.guard(step).hottest(number(step, "rate").unwrap() as usize);
        self.expect_status(step, hot.as_ref().map_or_else(|error| status_of(error.kind), |_| "TG_OK".into()));
        let names: Vec<_> =
            hot.unwrap_or_default().into_iter().map(|hot| String::from_utf8(hot.name).unwrap()).collect();
        let want = step.get("names").and_then(Value::as_array);
        let want = want.map(|names| names.iter().map(|name| name.as_str().unwrap().to_owned()).collect());
        self.expect("hottest", names, want);
    }

    fn set_breaker(&mut self, step: &Value) {
        let guard = self.guard(step);
        let set = match text(step, "state") {
            "closed" => guard.reset_breaker(),
            "forced_open" => guard.force_breaker(Forced::Open),
            "forced_closed" => guard.force_breaker(Forced::Closed),
            "disabled" => guard.force_breaker(Forced::Disabled),
            // In Rust it cannot be said.
            _ => Err(tidegate_core::Error::new(ErrorKind::Invalid, "not for setting")),
        };
        self.expect_status(step, set.map_or_else(|error| status_of(error.kind), |()| "TG_OK".into()));
    }

    fn counted(&mut self, step: &Value) {
        let [interval, period, timeout] =
            ["interval_ns", "bucket_period_ns", "timeout_ns"].map(|field| number(step, field).unwrap_or(0));
        let rule = Rule::new(number(step, "max_requests").unwrap_or(0) as u32, interval, period, timeout);
        let resolved = self.runtime.breaker(text(step, "name"), rule);
        if let Ok(breaker) = &resolved {
            self.breakers.insert(text(step, "name").to_owned(), (breaker, 0));
        }
        self.expect_status(step, resolved.map_or_else(|error| status_of(error.kind), |_| "TG_OK".into()));
    }

    fn ask(&mut self, step: &Value) {
        let (breaker, _) = self.breakers[text(step, "name")];
        let want = step.get("refused_by").and_then(Value::as_str).map(str::to_owned);
        let (status, refused_by) = match breaker.ask().unwrap().0 {
            Ok(ticket) => {
                step.get("as").map(|name| self.tickets.insert(name.as_str().unwrap().to_owned(), ticket));
                ("TG_OK", "disabled")
            }
            Err(Denied::Open) => ("TG_REFUSED_BREAKER", "open"),
            Err(Denied::TooMany) => ("TG_REFUSED_BREAKER", "half_open"),
        };
        self.expect_status(step, status.into());
        self.expect("refused by", refused_by.to_owned(), want);
    }

    fn end(&mut self, step: &Value) {
        let ending = match text(step, "ending") {
            "success" => Ending::Success,
            "failure" => Ending::Failure,
            _ => Ending::Excluded,
        };
        let ticket = self.tickets.remove(text(step, "ticket")).unwrap();
        let ended = self.breakers[text(step, "name")].0.end(ticket, ending);
        self.expect_status(step, ended.map_or_else(status_of, |_| "TG_OK".into()));
    }

    fn trip(&mut self, step: &Value) {
        let (breaker, generation) = self.breakers[text(step, "name")];
        breaker.trip(generation).unwrap();
    }

    fn counts(&mut self, step: &Value) {
        let (breaker, generation) = self.breakers.get_mut(text(step, "name")).unwrap();
        let (snapshot, _) = breaker.counts().unwrap();
        *generation = snapshot.generation;
        let is = snapshot.counts;
        let got = [
            is.requests,
            is.total_successes,
            is.total_failures,
            is.total_exclusions,
            is.consecutive_successes,
            is.consecutive_failures,
        ];
        let want = step.get("counts").map(|counts| serde_json::from_value(counts.clone()).unwrap());
        self.expect("counts", got, want);
        let state = step.get("state").and_then(Value::as_str).map(str::to_owned);
        self.expect("state", snapshot.state.name().to_owned(), state);
    }

    fn record(&mut self, step: &Value) {
        let histogram = self.runtime.histogram(&named(text(step, "histogram"))).unwrap();
        for value in step["values"].as_array().unwrap() {
            histogram.record(value.as_f64().unwrap()).unwrap();
        }
    }

    fn quantile(&mut self, step: &Value) {
        let histogram = self.runtime.histogram(&named(text(step, "histogram"))).unwrap();
        let got = histogram.values().unwrap().quantile(step["q"].as_f64().unwrap()).unwrap_or(0.0);
        let (want, rel) = (step["expect"].as_f64().unwrap(), step["rel"].as_f64().unwrap());
        if (got - want).abs() > rel * want {
            self.faults.push(format!("quantile is {got}, want {want} within {rel} of it"));
        }
    }

    fn count(&mut self, step: &Value) {
        let labels: Vec<(&str, &str)> = step["labels"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (&**name, value.as_str().unwrap()))
            .collect();
        let what = Description { labels: &labels, ..named(text(step, "counter")) };
        let counter = self.runtime.counter(&what).unwrap();
        counter.add(number(step, "n").unwrap()).unwrap();
        self.expect("counter", counter.value().unwrap(), number(step, "value"));
    }
}

fn outcome_of(step: &Value) -> Outcome {
    Outcome::ALL.into_iter().find(|outcome| outcome.name() == text(step, "outcome")).unwrap()
}

fn stopped(reason: Reason) -> String {
    format!("TG_STOP_{}", reason.name().to_uppercase())
}

fn attributes(step: &Value) -> Vec<(String, String)> {
    let all = step.get("attributes").and_then(Value::as_object);
    all.into_iter().flatten().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn text<'a>(step: &'a Value, field: &str) -> &'a str {
    step[field].as_str().unwrap_or_else(|| panic!("{field} is missing in {step}"))
}

fn number(step: &Value, field: &str) -> Option<u64> {
    step.get(field).map(|value| value.as_u64().unwrap())
}

fn named(name: &str) -> Description<'_> {
    Description { name, ..Description::default() }
}

fn status_of_entry(entered: Result<(), NotEntered>) -> String {
    match entered {
        Ok(()) => "TG_OK".into(),
        Err(NotEntered::Refused(stage)) => format!("TG_REFUSED_{}", stage.name().to_uppercase()),
        Err(NotEntered::Failed(kind)) => status_of(kind),
    }
}

/// `TG_NOT_HELD` of `NotHeld`.
fn status_of(kind: ErrorKind) -> String {
    format!("TG_{}", snake(&format!("{kind:?}")).to_uppercase())
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for c in camel.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}
