//! What a decision costs beside wasmtime's own call of the same guest: `policy_cost GUEST.wasm`.
//!
//! Both sides run in turns in one process; the median of the turns counts. `policies/examples/hash-c` is a guest
//! to measure with.

use std::hint::black_box;
use std::time::Instant;
use tidegate_core::policy::{PolicyHost, Record};
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

fn main() -> Result<(), Failure> {
    let path = std::env::args().nth(1).ok_or("usage: policy_cost GUEST.wasm")?;
    let wasm = std::fs::read(path)?;
    let host = Host::new();
    host.load("p", &wasm, &Options::default())?;
    let policy = host.find("p").ok_or("not loaded")?;
    let mut bare = bare(&wasm)?;
    let (mut bares, mut decides) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bares.push(turn(&mut bare));
        decides.push(turn(|n| {
            let record = Record { now_ns: n, ..Record::default() };
            black_box(policy.decide(black_box(&record), &[]));
        }));
    }
    let (bare, decide) = (median(bares), median(decides));
    println!("bare {bare:.1} ns, decide {decide:.1} ns, ratio {:.2}", decide / bare);
    Ok(())
}
