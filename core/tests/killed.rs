//! A proof by trying everything: a process that dies at any instruction of a call leaves a segment whose sums are right. A build
//! without debug assertions tries every one (the part `proofs` of `make test`); one with them some, in seconds.

mod common;

use std::collections::HashMap;

use common::{SECOND, enter, open, rules, wait_for};
use tidegate_core::guard::handle::Guard;
use tidegate_core::guard::{NotEntered, Outcome, Stage};
use tidegate_core::{Call, Permit, Runtime};

/// Failures never open its breaker: its window is summed at each of them.
const RULES: &str = r#"{"version":1,"guards":{"g":{
    "rate":[{"limit":1000000,"burst":1000000}],"concurrency":{"max":8},"breaker":{"error_ratio":1.0}}}}"#;

/// With every further stage that takes part in a call, none of which refuses it.
const WHOLE: &str = r#"{"version":1,"guards":{"g":{
    "timeout":"1h","deadline":{"usual":0.5},"throttle":{},"faults":[{"delay":"1us","share":1}],
    "rate":[{"limit":1000000,"burst":1000000},{"limit":1000000,"burst":1000000,"key":"tenant"}],
    "system":{"cpu":0.9},"concurrency":{"algorithm":"aimd","min":8,"max":8},
    "breaker":{"error_ratio":1.0,"slow":{"ratio":1,"over":"1h"}}}}}"#;

/// With a window of the last calls, which becomes full. A call that died with its place not taken lets one take another path.
const LAST_CALLS: &str = r#"{"version":1,"guards":{"g":{"concurrency":{"max":8},
    "breaker":{"error_ratio":1.0,"window_calls":100,"min_calls":100}}}}"#;

/// With what the plain way asks last.
const BY_KEY: &str = r#"{"version":1,"guards":{"g":{"concurrency":{"max":8},
    "rate":[{"limit":1000000,"burst":1000000,"key":"tenant"}]}}}"#;
const SLOW: &str = r#"{"version":1,"guards":{"g":{"concurrency":{"max":8},
    "breaker":{"error_ratio":1.0,"slow":{"ratio":1,"over":"1s"}}}}}"#;

/// The children's key is refused, once the place is taken.
const DENIED: &str = r#"{"version":1,"guards":{"g":{"concurrency":{"max":8},
    "rate":[{"limit":1000000,"burst":1000000,"key":"tenant","deny":["acme"]}]}}}"#;

/// From one instruction at which the child is killed to the next that is tried.
const STRIDE: usize = if cfg!(debug_assertions) { 97 } else { 1 };

/// The instruction of a breakpoint.
const INT3: i64 = 0xcc;

/// What children do.
struct Scene {
    runtime: Runtime,
    guard: &'static Guard,
    /// Nobody has rules for it.
    other: &'static Guard,
    /// How their calls end; None: they are refused.
    outcome: Option<Outcome>,
    /// Whether time goes on before the call that is traced, so that the thread has to look at the calls that are running.
    late: bool,
}

impl Scene {
    fn of(document: &str, outcome: Option<Outcome>) -> Scene {
        let runtime = open();
        rules(&runtime, document);
        let [guard, other] = ["g", "other"].map(|name| runtime.guard(name).unwrap());
        Scene { runtime, guard, other, outcome, late: false }
    }

    /// What the traced child does between its two stops: one call in, one call out.
    fn one_call(&self) {
        let mut permit = Permit::default();
        let entered = self.guard.enter(&Call { key: b"acme", ..Call::default() }, &mut permit);
        assert_eq!(entered.is_ok(), self.outcome.is_some());
        if let Some(outcome) = self.outcome {
            permit.exit(outcome).unwrap();
        }
    }

    fn first_calls(&self) {
        (0..FIRST).for_each(|_| self.one_call());
        if self.late {
            self.runtime.clock().advance(SECOND).unwrap();
            // The thread knows the time again.
            enter(self.other).unwrap().exit(Outcome::Success).unwrap();
        }
    }

    /// How many of a call's instructions are tried: when it looks at the calls that are running, the sums that it makes then differ from call to call.
    fn tried(&self) -> usize {
        if self.late { 800 } else { usize::MAX }
    }

    /// The calls that counted so far, and those whose durations did.
    fn counts(&self) -> [u64; 2] {
        let stats = self.guard.stats().unwrap();
        [self.outcome.map_or(0, |outcome| stats.calls[outcome as usize]), stats.latency.count()]
    }
}

/// Calls after which the child has its slots, and knows the guard and the time.
const FIRST: u64 = 3;

/// A child that has made its first calls, and stopped before the one that is traced: the hot path.
struct Traced(libc::pid_t);

impl Traced {
    fn fork(scene: &Scene) -> Traced {
        // SAFETY: the child only calls what a forked one may, and never returns.
        unsafe {
            let pid = libc::fork();
            assert!(pid >= 0);
            if pid == 0 {
                scene.first_calls();
                libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
                libc::raise(libc::SIGSTOP);
                scene.one_call();
                libc::raise(libc::SIGUSR1);
                libc::_exit(0);
            }
            assert!(libc::WIFSTOPPED(wait_for(pid)));
            Traced(pid)
        }
    }

    /// Lets it run until it stops; false when it has finished its call.
    fn run(&self, request: libc::c_uint) -> bool {
        // SAFETY: a child of ours, which has stopped.
        unsafe { libc::ptrace(request, self.0, 0, 0) };
        let status = wait_for(self.0);
        assert!(libc::WIFSTOPPED(status), "{status:x}");
        match libc::WSTOPSIG(status) {
            libc::SIGUSR1 => false,
            signal => signal == libc::SIGTRAP || panic!("stopped by signal {signal}"),
        }
    }

    fn registers(&self) -> libc::user_regs_struct {
        // SAFETY: as above; the registers are plain numbers.
        unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, self.0, 0, &raw mut registers), 0);
            registers
        }
    }

    /// Lets it run until it is about to execute an address; false when it never was.
    fn run_to(&self, address: u64) -> bool {
        // SAFETY: as above; its own copy of the page is changed, and restored before it goes on.
        unsafe {
            let word = libc::ptrace(libc::PTRACE_PEEKTEXT, self.0, address, 0);
            libc::ptrace(libc::PTRACE_POKETEXT, self.0, address, word & !0xff | INT3);
            if !self.run(libc::PTRACE_CONT) {
                return false;
            }
            libc::ptrace(libc::PTRACE_POKETEXT, self.0, address, word);
            let mut registers = self.registers();
            registers.rip -= 1;
            assert_eq!(registers.rip, address);
            assert_eq!(libc::ptrace(libc::PTRACE_SETREGS, self.0, 0, &raw mut registers), 0);
        }
        true
    }

    /// Its end, whatever it does; its slots are free again.
    fn kill(self, runtime: &Runtime) {
        // SAFETY: a child of ours.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        wait_for(self.0);
        assert_eq!(runtime.reap().unwrap(), 1);
    }
}

/// The addresses that a call executes, each with the index at which it comes first.
struct Path {
    addresses: Vec<u64>,
    first: HashMap<u64, usize>,
}

impl Path {
    fn of(scene: &Scene) -> Path {
        let child = Traced::fork(scene);
        let mut path = Path { addresses: Vec::new(), first: HashMap::new() };
        loop {
            let address = child.registers().rip;
            path.first.entry(address).or_insert(path.addresses.len());
            path.addresses.push(address);
            if !child.run(libc::PTRACE_SINGLESTEP) {
                break;
            }
        }
        child.kill(&scene.runtime);
        path
    }

    fn in_common(&self, other: &Path) -> usize {
        self.addresses.iter().zip(&other.addresses).take_while(|(one, other)| one == other).count()
    }

    /// Kills a child that is about to execute its `steps`th address. False: it took another path.
    fn kill_at(&self, steps: usize, scene: &Scene) -> bool {
        // It runs to the last address on the way that it has not been at before, and goes on step by step.
        let is_new = |&index: &usize| self.first[&self.addresses[index]] == index;
        let start = (0..=steps).rev().find(is_new).unwrap();
        let child = Traced::fork(scene);
        let there = (start == 0 || child.run_to(self.addresses[start]))
            && (start..steps).all(|_| child.run(libc::PTRACE_SINGLESTEP))
            && child.registers().rip == self.addresses[steps];
        child.kill(&scene.runtime);
        there
    }
}

/// Keeps this thread, and the children that it forks, on the processor that it is on: a tracer and a child that take
/// turns at every instruction would otherwise wake each other up across processors, which takes three times as long.
fn stay_on_this_processor() {
    // SAFETY: plain calls, with a set of our own.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(usize::try_from(libc::sched_getcpu()).unwrap(), &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// Kills a child at every [`STRIDE`]th instruction of a call, and looks at what it leaves.
fn kill_everywhere(scene: &Scene) {
    stay_on_this_processor();
    let guard = scene.guard;
    let mut mine = enter(guard).unwrap();
    enter(guard).unwrap().exit(Outcome::Success).unwrap();
    let mut path = Path::of(scene);
    let (mut steps, mut other_paths) = (0, 0);
    while steps < path.addresses.len().min(scene.tried()) {
        let before = scene.counts();
        if !path.kill_at(steps, scene) {
            let other = Path::of(scene);
            // From where they part, nothing was tried of it.
            steps = steps.min(path.in_common(&other));
            path = other;
            other_paths += 1;
            assert!(other_paths < 100, "calls are too different to be compared");
            continue;
        }
        assert_eq!(guard.stats().unwrap().inflight, 1, "after {steps} instructions only our own permit is in flight");
        let before_it = if scene.outcome.is_some() { FIRST } else { 0 };
        let fits = |(now, before): (&u64, &u64)| (before_it..=before_it + 1).contains(&(now - before));
        assert!(scene.counts().iter().zip(&before).all(fits), "the calls before count, the killed one may");
        steps += STRIDE;
    }
    assert!(path.addresses.len() > 200, "{} instructions cannot have been all", path.addresses.len());
    mine.exit(Outcome::Success).unwrap();
    let mut all: Vec<_> = (0..8).map(|_| enter(guard).unwrap()).collect();
    assert_eq!(enter(guard).unwrap_err(), NotEntered::Refused(Stage::Concurrency), "the limit is what it was");
    scene.runtime.clock().advance(SECOND).unwrap();
    all.iter_mut().for_each(|permit| permit.exit(Outcome::Success).unwrap());
}

#[test]
fn a_child_killed_at_any_instruction_leaves_the_sums_right() {
    kill_everywhere(&Scene::of(RULES, Some(Outcome::Failure)));
    kill_everywhere(&Scene::of(RULES, Some(Outcome::Success)));
}

#[test]
fn so_does_one_whose_guard_has_every_stage() {
    kill_everywhere(&Scene::of(WHOLE, Some(Outcome::Success)));
}

#[test]
fn so_does_one_with_what_is_asked_last() {
    kill_everywhere(&Scene::of(BY_KEY, Some(Outcome::Success)));
    kill_everywhere(&Scene::of(SLOW, Some(Outcome::Success)));
    kill_everywhere(&Scene { late: true, ..Scene::of(SLOW, Some(Outcome::Success)) });
    kill_everywhere(&Scene::of(DENIED, None));
}

#[test]
fn so_does_one_that_counts_the_last_calls() {
    kill_everywhere(&Scene::of(LAST_CALLS, Some(Outcome::Success)));
}
