//! What can be said about a module without running it.

use crate::error::PolicyError;
use crate::imports;
use crate::options::MODULE_MAX_BYTES;
use wasmtime::{Engine, ExternType, FuncType, Module, Mutability};

const WASM_MAGIC: &[u8] = b"\0asm";
const CORE_VERSION: &[u8] = &[1, 0, 0, 0];
const PAGE_BYTES: u64 = 64 << 10;

const DECIDE: &str = "func(i32) -> i64";
const OBSERVE: &str = "func(i32, i32, i64)";

/// Exports that a policy must have. The type of `memory` is compared without its size.
const REQUIRED: [(&str, &str); 5] = [
    ("memory", "memory"),
    ("tg_policy_abi", "const global i32"),
    ("tg_policy_arena", "func() -> i32"),
    ("tg_policy_init", "func(i32, i32) -> i32"),
    ("tg_policy_decide", DECIDE),
];

/// Compiles `bytes` and checks the module's imports, exports and memory.
pub(crate) fn compile(engine: &Engine, bytes: &[u8], memory_max_bytes: usize) -> Result<Module, PolicyError> {
    check_bytes(bytes)?;
    let module = Module::from_binary(engine, bytes).map_err(|error| PolicyError::not_compiled(&error))?;
    module.imports().try_for_each(|i| check_import(i.module(), i.name(), &i.ty()))?;
    REQUIRED.iter().try_for_each(|(name, expected)| require(&module, name, expected))?;
    if exports_observe(&module) {
        require(&module, "tg_policy_observe", OBSERVE)?;
    }
    check_memory(&module, memory_max_bytes)?;
    Ok(module)
}

/// Whether the module wants to hear how calls end.
pub(crate) fn exports_observe(module: &Module) -> bool {
    module.get_export("tg_policy_observe").is_some()
}

/// Whether the module keeps numbers in the host.
pub(crate) fn imports_numbers(module: &Module) -> bool {
    module.imports().any(|import| import.name().starts_with("kv_"))
}

fn check_bytes(bytes: &[u8]) -> Result<(), PolicyError> {
    if bytes.len() > MODULE_MAX_BYTES {
        return Err(PolicyError::TooLarge { bytes: bytes.len(), max: MODULE_MAX_BYTES });
    }
    let not_wasm = |detail: &str| Err(PolicyError::NotWasm { detail: detail.to_string() });
    match bytes {
        [] => not_wasm("it is empty"),
        _ if !bytes.starts_with(WASM_MAGIC) => not_wasm("it does not start with \\0asm"),
        _ if bytes.get(4..8) != Some(CORE_VERSION) => {
            not_wasm("its version is not 1 (a component, or a newer format?)")
        }
        _ => Ok(()),
    }
}

fn check_import(module: &str, name: &str, ty: &ExternType) -> Result<(), PolicyError> {
    let known = imports::SIGNATURES.iter().find(|known| module == imports::MODULE && known.0 == name);
    let Some((_, expected)) = known else {
        return Err(PolicyError::ForbiddenImport { module: module.into(), name: name.into() });
    };
    let found = describe(ty);
    if found == *expected {
        return Ok(());
    }
    Err(PolicyError::WrongImport { name: name.into(), found, expected: (*expected).into() })
}

fn require(module: &Module, name: &'static str, expected: &'static str) -> Result<(), PolicyError> {
    let Some(ty) = module.get_export(name) else {
        return Err(PolicyError::MissingExport { name, expected });
    };
    let found = describe(&ty);
    if found == expected {
        return Ok(());
    }
    Err(PolicyError::WrongExport { name, found, expected })
}

fn check_memory(module: &Module, max: usize) -> Result<(), PolicyError> {
    let Some(ExternType::Memory(memory)) = module.get_export("memory") else {
        return Ok(());
    };
    let bytes = memory.minimum().saturating_mul(PAGE_BYTES);
    if bytes <= max as u64 {
        return Ok(());
    }
    Err(PolicyError::MemoryTooLarge { bytes, max })
}

/// A type as text: `func(i32, i64) -> i32`, `const global i32`, `memory`, `table`.
fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(func) => describe_func(func),
        ExternType::Global(global) => {
            let kind = if global.mutability() == Mutability::Const { "const" } else { "mutable" };
            format!("{kind} global {}", global.content())
        }
        ExternType::Memory(_) => "memory".into(),
        ExternType::Table(_) => "table".into(),
        _ => "something else".into(),
    }
}

fn describe_func(func: &FuncType) -> String {
    let list = |types: Vec<String>| types.join(", ");
    let params = list(func.params().map(|ty| ty.to_string()).collect());
    let results = list(func.results().map(|ty| ty.to_string()).collect());
    if results.is_empty() { format!("func({params})") } else { format!("func({params}) -> {results}") }
}
