//! What a decision costs beside wasmtime's own call of the same guest: `policy_cost GUEST.wasm`; by itself, and as
//! what it adds to a guard.
//!
//! Both sides run in turns in one process; the median of the turns counts. `policies/examples/hash-c` is a guest
//! to measure with.

use std::hint::black_box;
use std::time::Instant;
use tidegate_core::policy::{PolicyHost, Record};
use tidegate_core::{Call, Outcome, Permit, Runtime};
use tidegate_wasm_host::{Host, Options};
use wasmtime::{Engine, Instance, Module, Store};

const TURNS: usize = 15;
const CALLS: u32 = 200_000;

type Failure = Box<dyn std::error::Error>;

/// Nanoseconds a call.
fn turn(mut call: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    (0..u64::from(CALLS)).for_each(&mut call);
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn median(mut turns: Vec<f64>) -> f64 {
    turns.sort_by(f64::total_cmp);
    turns[turns.len() / 2]
}

/// A typed call with wasmtime's default settings, and the copy of the record before it.
fn bare(wasm: &[u8]) -> Result<impl FnMut(u64), Failure> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, wasm)?, &[])?;
    let arena = instance.get_typed_func::<(), u32>(&mut store, "tg_policy_arena")?.call(&mut store, ())?;
    let decide = instance.get_typed_func::<u32, i64>(&mut store, "tg_policy_decide")?;
    let memory = instance.get_memory(&mut store, "memory").ok_or("no memory")?;
    Ok(move |n: u64| {
        let mut record = [7u8; 64];
        record[8..16].copy_from_slice(&n.to_le_bytes());
        memory.data_mut(&mut store)[arena as usize..][..64].copy_from_slice(black_box(&record));
        black_box(decide.call(&mut store, arena)).ok();
    })
}

/// Two guards that differ in the policy alone.
const RULES: &[u8] = br#"{"schema": 1, "version": 1, "guards": {
    "plain":  {"concurrency": {"max": 100}},
    "policy": {"concurrency": {"max": 100}, "policy": {"name": "p"}}}}"#;

fn guarded(runtime: &Runtime, name: &str) -> Result<impl FnMut(u64) + use<>, Failure> {
    let guard = runtime.guard(name)?;
    Ok(move |_| {
        let mut permit = Permit::default();
        black_box(guard.enter(black_box(&Call::default()), &mut permit)).ok();
        black_box(permit.exit(Outcome::Success)).ok();
    })
}

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("usage: policy_cost GUEST.wasm")?;
    let wasm = std::fs::read(path)?;
    let host = Host::new();
    host.load("p", &wasm, &Options::default())?;
    let policy = host.find("p").ok_or("not loaded")?;
    let mut bare = bare(&wasm)?;
    let runtime = Runtime::open(&tidegate_core::Options::default())?;
    runtime.set_policy_host(host);
    runtime.apply_rules(RULES)?;
    let (mut plain, mut with_policy) = (guarded(&runtime, "plain")?, guarded(&runtime, "policy")?);
    let mut turns = [const { Vec::new() }; 4];
    for _ in 0..TURNS {
        turns[0].push(turn(&mut bare));
        turns[1].push(turn(|n| {
            let record = Record { now_ns: n, ..Record::default() };
            black_box(policy.decide(black_box(&record), &[]));
        }));
        turns[2].push(turn(&mut plain));
        turns[3].push(turn(&mut with_policy));
    }
    let [bare, decide, plain, with_policy] = turns.map(median);
    let added = with_policy - plain;
    println!("bare call {bare:.1} ns; decide {decide:.1} ns, {:.2} of it", decide / bare);
    println!("guard {plain:.1} ns, with the policy {with_policy:.1} ns: adds {:.2} of a bare call", added / bare);
    Ok(())
}
