//! What the tests of the host share.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::Arc;
use tidegate_core::policy::{Policy, PolicyHost, RECORD_VERSION, Record};
use tidegate_wasm_host::{Figures, Host, Options};

/// The hostile guest in `tests/hostile/<name>.wat`.
pub fn hostile(name: &str) -> Vec<u8> {
    let path = format!("{}/../tests/hostile/{name}.wat", env!("CARGO_MANIFEST_DIR"));
    wat::parse_file(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A guest whose body of `tg_policy_decide` (a record in local 0) is `decide`.
pub fn guest(decide: &str) -> Vec<u8> {
    guest_with("", "(i32.const 0)", decide, "")
}

/// A guest with imports, a body of init, a body of decide, and further fields.
pub fn guest_with(imports: &str, init: &str, decide: &str, more: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports}
          (memory (export "memory") 1)
          (global (export "tg_policy_abi") i32 (i32.const 1))
          (func (export "tg_policy_arena") (result i32) (i32.const 8))
          (func (export "tg_policy_init") (param i32 i32) (result i32) {init})
          (func (export "tg_policy_decide") (param i32) (result i64) {decide})
          {more})"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A guest that denies every call with this reason.
pub fn denies(reason: u16) -> Vec<u8> {
    guest(&format!("(i64.const {})", 1 | i64::from(reason) << 16))
}

/// The same, and it hears how calls end.
pub fn denies_and_observes(reason: u16) -> Vec<u8> {
    let verdict = format!("(i64.const {})", 1 | i64::from(reason) << 16);
    let observe = r#"(func (export "tg_policy_observe") (param i32 i32 i64))"#;
    guest_with("", "(i32.const 0)", &verdict, observe)
}

/// A host with one policy `p`.
pub fn host_with(wasm: &[u8]) -> (Arc<Host>, Arc<dyn Policy>) {
    let host = Host::new();
    host.load("p", wasm, &Options::default()).expect("a good module");
    let policy = host.find("p").expect("loaded");
    (host, policy)
}

/// The same, and no number of failures puts the policy out of service.
pub fn patient_host_with(wasm: &[u8]) -> (Arc<Host>, Arc<dyn Policy>) {
    let host = Host::new();
    let never = u32::MAX;
    let options = Options { strikes_in_a_row: never, strikes_in_window: never, ..Options::default() };
    host.load("p", wasm, &options).expect("a good module");
    let policy = host.find("p").expect("loaded");
    (host, policy)
}

/// The figures of `p` once they are as expected: collecting is skipped where another test's is at
/// work. Fails when they never are.
pub fn figures_when(host: &Host, expected: impl Fn(&Figures) -> bool) -> Figures {
    for _ in 0..20_000 {
        host.collect();
        let figures = host.figures_of("p").expect("loaded");
        if expected(&figures) {
            return figures;
        }
        std::thread::yield_now();
    }
    panic!("never as expected: {:?}", host.figures_of("p"));
}

/// A quiet call with this hash of its key.
pub fn record(key_hash: u64) -> Record {
    Record {
        size: size_of::<Record>() as u16,
        version: RECORD_VERSION,
        breaker: 1,
        now_ns: 5_000_000_000,
        key_hash,
        remaining_ns: u64::MAX,
        cost: 1,
        guard: 1,
        ..Record::default()
    }
}
