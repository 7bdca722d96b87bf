//! Why a policy was not accepted, and why a call of it gave no answer.

use std::fmt;

/// Where in a guest's life something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The module's start function.
    Start,
    /// `tg_policy_arena`.
    Arena,
    /// `tg_policy_init`.
    Init,
    /// The golden call of this number, before a generation is published.
    Golden(usize),
    /// `tg_policy_decide` of a live call.
    Decide,
    /// `tg_policy_observe` of a live call.
    Observe,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phase::Start => f.write_str("the start function"),
            Phase::Arena => f.write_str("tg_policy_arena"),
            Phase::Init => f.write_str("tg_policy_init"),
            Phase::Golden(n) => write!(f, "tg_policy_decide, golden call {n}"),
            Phase::Decide => f.write_str("tg_policy_decide"),
            Phase::Observe => f.write_str("tg_policy_observe"),
        }
    }
}

/// Why a call of a guest gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The guest trapped: unreachable code, a bad address, a division by zero.
    Trap,
    /// It used more processor time than its deadline allows.
    Deadline,
    /// It asked for more memory than it may have, and trapped for want of it.
    Memory,
    /// Its stack went over 256 KiB.
    Stack,
    /// It answered with something that is not a verdict.
    BadVerdict,
    /// No instance was to be had for this thread: the policy is not loaded, or out of service, or
    /// there are more threads than slots, or the thread has too little stack left, or the call came from inside of
    /// another, or the system refused memory.
    NoInstance,
}

impl Cause {
    /// Every cause, in the order of [`Cause::index`].
    pub const ALL: [Cause; 6] =
        [Cause::Trap, Cause::Deadline, Cause::Memory, Cause::Stack, Cause::BadVerdict, Cause::NoInstance];

    /// The cause's place in [`Cause::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The cause as a metric's label value.
    pub fn label(self) -> &'static str {
        ["trap", "deadline", "memory", "stack", "bad_verdict", "no_instance"][self.index()]
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Trap => "trapped",
            Cause::Deadline => "ran past its deadline",
            Cause::Memory => "asked for more memory than memory_max_bytes grants",
            Cause::Stack => "used more than 256 KiB of stack (recursion without end?)",
            Cause::BadVerdict => "answered with something that is not a verdict",
            Cause::NoInstance => "had no instance",
        })
    }
}

/// Why a policy was not loaded, rolled back or unloaded. What was in force stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's message says what its fields are")]
pub enum PolicyError {
    BadName { bytes: usize },
    BadOption { option: &'static str, value: u64, max: u64 },
    TooLarge { bytes: usize, max: usize },
    NotWasm { detail: String },
    NotCompiled { detail: String },
    ForbiddenImport { module: String, name: String },
    WrongImport { name: String, found: String, expected: String },
    MissingExport { name: &'static str, expected: &'static str },
    WrongExport { name: &'static str, found: String, expected: &'static str },
    WrongAbi { found: i64 },
    MemoryTooLarge { bytes: u64, max: usize },
    BadArena { at: u32, memory_bytes: usize },
    Stopped { phase: Phase, cause: Cause, detail: String },
    InitRefused { code: i32, log: String },
    NotLoaded { name: String },
    NothingToRollBackTo { name: String },
    TooManyPolicies { max: usize },
    TooManyAttributes { max: usize },
    Busy { what: &'static str },
    Host { detail: String },
    System { detail: String },
}

impl PolicyError {
    /// What the system refused, when an error of the engine comes from that and not from the module.
    pub(crate) fn of_system(error: &wasmtime::Error) -> Option<Self> {
        let by_system =
            |cause: &(dyn std::error::Error + 'static)| cause.is::<rustix::io::Errno>() || cause.is::<std::io::Error>();
        error.chain().any(by_system).then(|| PolicyError::System { detail: format!("{error:#}") })
    }

    /// A module that the engine did not compile, or that the system had no memory for.
    pub(crate) fn not_compiled(error: &wasmtime::Error) -> Self {
        Self::of_system(error).unwrap_or_else(|| PolicyError::NotCompiled { detail: format!("{error:#}") })
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use PolicyError::*;
        match self {
            BadName { bytes } => {
                write!(f, "a policy's name has 1 to {} bytes, not {bytes}", crate::options::NAME_MAX_BYTES)
            }
            BadOption { option, value, max } => {
                write!(f, "option {option} is {value}; at most {max} is allowed")
            }
            TooLarge { bytes, max } => {
                write!(f, "the module has {bytes} bytes; at most {max} are allowed")
            }
            NotWasm { detail } => write!(f, "not a core WebAssembly module: {detail}"),
            NotCompiled { detail } => write!(f, "the module does not compile: {detail}"),
            ForbiddenImport { module, name } => write!(
                f,
                "import {module}.{name} is not allowed; a policy may import from module \
                 \"tidegate\": {}",
                crate::imports::names()
            ),
            WrongImport { name, found, expected } => {
                write!(f, "import tidegate.{name} is {found}; it must be {expected}")
            }
            MissingExport { name, expected } => {
                write!(f, "export {name} is missing; it must be {expected}")
            }
            WrongExport { name, found, expected } => {
                write!(f, "export {name} is {found}; it must be {expected}")
            }
            WrongAbi { found } => {
                write!(f, "tg_policy_abi says {found}; this host speaks version {}", crate::ABI_VERSION)
            }
            MemoryTooLarge { bytes, max } => {
                write!(f, "the module's memory starts with {bytes} bytes; memory_max_bytes grants {max}")
            }
            BadArena { at, memory_bytes } => write!(
                f,
                "tg_policy_arena gives address {at}; it must be a multiple of 8 with {} bytes \
                 behind it inside of the memory's {memory_bytes}",
                crate::ARENA_BYTES
            ),
            Stopped { phase, cause, detail } => {
                write!(f, "{phase} {cause}")?;
                if detail.is_empty() { Ok(()) } else { write!(f, ": {detail}") }
            }
            InitRefused { code, log } => {
                write!(f, "tg_policy_init refused its configuration with {code}")?;
                if log.is_empty() { Ok(()) } else { write!(f, ": {log}") }
            }
            NotLoaded { name } => write!(f, "no policy is loaded under the name {name:?}"),
            NothingToRollBackTo { name } => {
                write!(f, "policy {name:?} has no earlier good generation to go back to")
            }
            TooManyPolicies { max } => write!(f, "at most {max} policies may be loaded at once"),
            TooManyAttributes { max } => {
                write!(f, "at most {max} attribute names of at most 128 bytes may be known")
            }
            Busy { what } => write!(f, "{what} is held by another thread for too long"),
            System { detail } => write!(f, "the system refused the module its memory: {detail}"),
            Host { detail } => write!(f, "the WASM engine could not be had: {detail}"),
        }
    }
}

impl std::error::Error for PolicyError {}
