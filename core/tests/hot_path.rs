//! After a thread's first call, entering, leaving, counting and recording allocate nothing, lock nothing and make no
//! system call.
//!
//! A forked child counts its allocations, then runs two threads under a seccomp filter with which the kernel kills at
//! any system call but the end of a thread; a lock that two threads contend for would make one. (Strict seccomp would
//! also forbid the time-stamp counter.)

mod common;

use common::{enter, open, rules};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use tidegate_core::breaker::counts::{Ending, Rule};
use tidegate_core::breaker::handle::CountedBreaker;
use tidegate_core::guard::handle::Guard;
use tidegate_core::limiter::{Algorithm, Limiter, Options as LimiterOptions};
use tidegate_core::metrics::instrument::{Counter, Description, Gauge, Histogram};
use tidegate_core::retry::plan::Attempt;
use tidegate_core::system::gate::Load;
use tidegate_core::{Call, Criticality, Options, Outcome, Permit, Runtime};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: by the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: by the caller's contract.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const RULES: &str = r#"{"version":1,"guards":{
    "busy":{"rate":[{"limit":1e9,"burst":1000000000}],"concurrency":{"max":100},"breaker":{"error_ratio":0.9},"timeout":"1s"},
    "plain":{"rate":[{"limit":1e9,"burst":1000000000}],"concurrency":{"max":100},"breaker":{"error_ratio":0.9}},
    "plain-by-key":{"rate":[{"limit":1e6,"burst":1000000,"key":"tenant"}],"concurrency":{"max":100}},
    "slow":{"breaker":{"slow":{"ratio":0.9,"over":"1s"}},"concurrency":{"max":100}},
    "refusing":{"rate":[{"limit":1,"per":"24h","burst":1}]},
    "failing":{"breaker":{"consecutive_failures":2,"open_for":"24h"}},
    "by-key":{"rate":[{"limit":1,"per":"24h","burst":1,"key":"tenant","overrides":{"a":{"limit":5}},"deny":["b"]}]},
    "shadow":{"rate":[{"limit":1,"per":"24h","burst":1,"mode":"shadow"}],"concurrency":{"max":1,"mode":"shadow"}},
    "adaptive":{"concurrency":{"algorithm":"gradient2","initial":1},"system":{"cpu":0.5}},
    "throttled":{"throttle":{},"deadline":{"usual":0.5},"timeout":"1s"},
    "whole":{"breaker":{"error_ratio":0.9,"slow":{"ratio":0.9,"over":"1ms"},"window_calls":100},"faults":[{"delay":"1us","share":0.5}]},
    "again":{"retry":{"max_attempts":3,"budget":{"ratio":0.1}},"hedge":{"quantile":0.5,"min":"0s","max_delay":"1ms"}},
    "quota":{"retry":{"budget":{"quota":{}}},"hedge":{"delay":"0s"}}}}"#;

const GUARDS: [&str; 13] = [
    "busy",
    "plain",
    "plain-by-key",
    "slow",
    "refusing",
    "failing",
    "by-key",
    "shadow",
    "adaptive",
    "throttled",
    "whole",
    "again",
    "quota",
];

#[derive(Clone, Copy)]
struct Handles {
    guards: [&'static Guard; GUARDS.len()],
    counter: &'static Counter,
    gauge: &'static Gauge,
    histogram: &'static Histogram,
    limiters: [&'static Limiter; 4],
    breaker: &'static CountedBreaker,
}

fn resolve(runtime: &Runtime) -> Handles {
    rules(runtime, RULES);
    runtime.set_load(Load { cpu: 900, memory: 100 }).unwrap();
    let what = |name| Description { name, ..Description::default() };
    Handles {
        guards: GUARDS.map(|name| runtime.guard(name).unwrap()),
        breaker: runtime.breaker("counted", Rule::new(1, 0, 0, 0)).unwrap(),
        counter: runtime.counter(&what("c")).unwrap(),
        gauge: runtime.gauge(&what("g")).unwrap(),
        histogram: runtime.histogram(&what("h")).unwrap(),
        limiters: limiters(runtime),
    }
}

fn limiters(runtime: &Runtime) -> [&'static Limiter; 4] {
    let window = LimiterOptions { algorithm: Algorithm::SlidingWindow, limit: 100.0, ..LimiterOptions::default() };
    let pacing = LimiterOptions { algorithm: Algorithm::Pacing, limit: 100.0, ..LimiterOptions::default() };
    let bucket = LimiterOptions::token_bucket(100.0, 10);
    [("bucket", bucket), ("window", window), ("pacing", pacing), ("", bucket)]
        .map(|(name, options)| runtime.limiter(name, Some(&options)).unwrap())
}

/// Everything that is hot, the refusals and misuses too.
fn everything(handles: &Handles) {
    for guard in handles.guards {
        let mut permit = Permit::default();
        let call = Call {
            cost: 1,
            key: b"tenant",
            timeout_ns: 1_000_000_000,
            criticality: Criticality::Sheddable,
            level: 3,
            ..Call::default()
        };
        if guard.enter(&call, &mut permit).is_ok() {
            let _ = permit.exit(Outcome::Failure);
        }
        if let Ok(mut again) = enter(guard) {
            let _ = again.exit(Outcome::Success);
        }
        let _ = permit.exit(Outcome::Success);
        again(guard, &call);
    }
    if let Ok((Ok(ticket), _)) = handles.breaker.ask() {
        let _ = handles.breaker.end(ticket, Ending::Failure);
    }
    let _ = handles.breaker.counts();
    for limiter in handles.limiters {
        let _ = limiter.take(1, 0);
        let _ = limiter.take(u64::MAX, 0);
        let _ = limiter.reserve(2, 0, u64::MAX).map(|mut reserved| limiter.cancel(&mut reserved, 0));
        let _ = limiter.tokens(0);
    }
    let _ = handles.counter.add(1);
    let _ = handles.gauge.set(1.5);
    let _ = handles.gauge.add(0.5);
    let _ = handles.histogram.record(0.001);
    let _ = handles.histogram.record(f64::NAN);
}

/// A call that is tried again, and one that is hedged.
fn again(guard: &'static Guard, call: &Call<'_>) {
    if let Ok(mut retry) = guard.begin_retry(call) {
        let _ = retry.next(Attempt::Ended(Outcome::Overloaded), 0);
        let _ = retry.abandon();
        let _ = retry.next(Attempt::Ended(Outcome::Timeout), 5);
        let _ = retry.next(Attempt::Ended(Outcome::Success), 0);
    }
    if let Ok(mut hedge) = guard.begin_hedge(call) {
        let _ = (hedge.ask(), hedge.ask());
        let _ = hedge.end(Outcome::Success);
    }
}

static READY: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);
static GO: AtomicBool = AtomicBool::new(false);

/// From now on the kernel kills the process when this thread makes a system call other than `exit`.
///
/// # Safety
/// For this test's child only.
unsafe fn confine() {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_exit as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: by contract; the program lives until the call returns.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

/// A thread that takes its slot, waits, then goes on without system calls until it ends by the one that is allowed.
fn run_confined(handles: &Handles) -> ! {
    everything(handles);
    READY.fetch_add(1, AcqRel);
    while !GO.load(Acquire) {
        std::thread::yield_now();
    }
    // SAFETY: confines this thread only.
    unsafe {
        confine();
        (0..20_000).for_each(|_| everything(handles));
        DONE.fetch_add(1, AcqRel);
        libc::syscall(libc::SYS_exit, 0);
    }
    unreachable!()
}

fn child(runtime: &Runtime) -> i32 {
    let handles = resolve(runtime);
    everything(&handles);
    let before = ALLOCATIONS.load(Relaxed);
    (0..1000).for_each(|_| everything(&handles));
    if ALLOCATIONS.load(Relaxed) != before {
        return 3;
    }
    for _ in 0..2 {
        std::thread::spawn(move || run_confined(&handles));
    }
    while READY.load(Acquire) < 2 {
        std::thread::yield_now();
    }
    GO.store(true, Release);
    while DONE.load(Acquire) < 2 {
        std::thread::yield_now();
    }
    0
}

fn prove(runtime: &Runtime) {
    // SAFETY: the child only runs `child` and leaves by _exit.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            // A panic must not let the child end as if all were well.
            libc::_exit(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child(runtime))).unwrap_or(4));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
        assert!(!libc::WIFSIGNALED(status), "the hot path made a system call (signal {})", libc::WTERMSIG(status));
        assert_eq!(libc::WEXITSTATUS(status), 0, "3: the hot path allocated; 4: the child panicked");
    }
}

#[test]
fn the_hot_path_allocates_locks_and_calls_nothing() {
    prove(&open());
    // The monotonic clock needs no system call where the kernel offers it in the vDSO.
    let source = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    if source.is_ok_and(|name| ["tsc", "kvm-clock"].contains(&name.trim())) {
        prove(&Runtime::open(&Options { faults: true, ..Options::default() }).unwrap());
    }
}
