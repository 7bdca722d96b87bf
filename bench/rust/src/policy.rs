//! The policy of the benchmark, and what wasmtime takes to call it with nothing around it.

use std::hint::black_box;
use std::sync::Arc;

use wasmtime::{Engine, Instance, Memory, Module, Store, TypedFunc};

use crate::Failure;
use crate::measure::Case;

const GUEST: &str = include_str!("guest.wat");
const RECORD_BYTES: usize = 64;

/// The guest as WASM.
pub fn guest() -> Result<Vec<u8>, Failure> {
    Ok(wat::parse_str(GUEST)?)
}

/// Writes the guest where the C and Go programs find it.
pub fn write_guest(path: &str) -> Result<(), Failure> {
    Ok(std::fs::write(path, guest()?)?)
}

struct Bare {
    store: Store<()>,
    memory: Memory,
    arena: usize,
    decide: TypedFunc<i32, i64>,
}

impl Bare {
    fn new(module: &Module) -> wasmtime::Result<Self> {
        let mut store = Store::new(module.engine(), ());
        let instance = Instance::new(&mut store, module, &[])?;
        let arena = instance.get_typed_func::<(), i32>(&mut store, "tg_policy_arena")?;
        let arena = arena.call(&mut store, ())?;
        let decide = instance.get_typed_func(&mut store, "tg_policy_decide")?;
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| wasmtime::Error::msg("no memory"))?;
        Ok(Self { store, memory, arena: arena as usize, decide })
    }

    /// Copies the record and calls, as any program that embeds wasmtime would.
    fn call(&mut self, record: &[u8; RECORD_BYTES]) -> i64 {
        let arena = self.arena..self.arena + RECORD_BYTES;
        self.memory.data_mut(&mut self.store)[arena].copy_from_slice(record);
        let decided = self.decide.call(&mut self.store, self.arena as i32);
        decided.unwrap_or(-1)
    }
}

/// One typed call that copies and hashes the record, with wasmtime's default settings; each thread has
/// its own store.
pub fn bare_call() -> Result<Case, Failure> {
    let module = Arc::new(Module::new(&Engine::default(), guest()?)?);
    Bare::new(&module)?;
    Ok(Case::new("policy_call", "wasmtime", move |index| {
        let mut bare = Bare::new(&module).ok();
        let mut record = [index as u8; RECORD_BYTES];
        move || {
            record[8] = record[8].wrapping_add(1);
            black_box(bare.as_mut().map(|bare| bare.call(black_box(&record))));
        }
    }))
}
