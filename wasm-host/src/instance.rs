//! One instance of a policy's module: entered by one thread at a time.

use crate::arena::{self, ARENA_BYTES, Arena};
use crate::attributes::IdSet;
use crate::deadline::{self, Allowance};
use crate::engine::User;
use crate::error::{Cause, Phase, PolicyError};
use crate::generation::Generation;
use crate::guest::GuestState;
use crate::options::INIT_DEADLINE_NS;
use crate::state::PolicyState;
use crate::{ABI_MAGIC, ABI_VERSION, verdict};
use std::sync::Arc;
use tidegate_core::policy::{Attribute, Record, Verdict};
use wasmtime::{Error, Memory, Store, StoreContextMut, Trap, TypedFunc, UpdateDeadline, WasmParams, WasmResults};

/// An instance with what a call of it needs at hand.
pub(crate) struct Instance {
    store: Store<GuestState>,
    memory: Memory,
    arena_at: u32,
    /// Where the arena is in this process; looked up again after the memory may have moved.
    arena: *mut Arena,
    allowed: Allowance,
    wanted: IdSet,
    decide: TypedFunc<u32, i64>,
    observe: Option<TypedFunc<(u32, i32, i64), ()>>,
}

// SAFETY: the address of the arena is of memory that the store owns, and moves with it.
unsafe impl Send for Instance {}

/// Instances are made by one thread for another, and freed by a third.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<(Store<GuestState>, Memory, TypedFunc<u32, i64>)>();
};

impl Instance {
    /// Instantiates, finds the arena, and initialises with the generation's configuration.
    pub fn new(generation: &Generation, host: Arc<PolicyState>) -> Result<Self, PolicyError> {
        let _user = User::new();
        let mut store = new_store(generation, host);
        let failed = |store: &Store<GuestState>, phase, error| stopped(store, phase, &error);
        let instance = match generation.template.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(failed(&store, Phase::Start, error)),
        };
        let Some(memory) = instance.get_memory(&mut store, "memory") else {
            return Err(PolicyError::MissingExport { name: "memory", expected: "memory" });
        };
        store.data_mut().memory = Some(memory);
        let mut function = Functions { store: &mut store, instance };
        function.check_abi(memory)?;
        let arena_at = function.call::<(), u32>(Phase::Arena, "tg_policy_arena", ())?;
        let decide = function.get(Phase::Decide, "tg_policy_decide")?;
        let observe = match generation.observes {
            true => Some(function.get(Phase::Observe, "tg_policy_observe")?),
            false => None,
        };
        check_arena(arena_at, memory.data_size(&store))?;
        let mut made = Self {
            store,
            memory,
            arena_at,
            arena: std::ptr::null_mut(),
            allowed: Allowance::new(generation.options.deadline_ns),
            wanted: IdSet::default(),
            decide,
            observe,
        };
        made.initialise(instance, &generation.options.config)?;
        Ok(made)
    }

    /// **Hot.** Asks the guest about one call.
    #[inline]
    pub fn decide(&mut self, record: &Record, attributes: &[Attribute<'_>]) -> Result<Verdict, Failure> {
        self.write(record, attributes)?;
        self.enter(record.now_ns);
        match self.decide.call(&mut self.store, self.arena_at) {
            Ok(raw) => verdict::decode(raw).ok_or(Failure::BadVerdict(raw)),
            Err(error) => Err(Failure::Stopped(error)),
        }
    }

    /// **Hot.** Tells the guest how a call ended.
    pub fn observe(&mut self, record: &Record, outcome: u8, duration_ns: u64) -> Result<(), Failure> {
        if self.observe.is_none() {
            return Ok(());
        }
        self.write(record, &[])?;
        self.enter(record.now_ns);
        let duration = i64::try_from(duration_ns).unwrap_or(i64::MAX);
        let arguments = (self.arena_at, i32::from(outcome), duration);
        match &self.observe {
            Some(observe) => observe.call(&mut self.store, arguments).map_err(Failure::Stopped),
            None => Ok(()),
        }
    }

    /// Whether the guest wants to hear how calls end.
    #[inline]
    pub fn observes(&self) -> bool {
        self.observe.is_some()
    }

    /// What a failure of this instance counts as.
    pub fn cause(&self, failure: &Failure) -> Cause {
        match failure {
            Failure::BadVerdict(_) => Cause::BadVerdict,
            Failure::Stopped(error) => cause(&self.store, error),
        }
    }

    /// The error that a failure in the golden calls is.
    pub fn refusal(&self, phase: Phase, failure: &Failure) -> PolicyError {
        match failure {
            Failure::Stopped(error) => stopped(&self.store, phase, error),
            Failure::BadVerdict(raw) => {
                let detail = format!("{raw:#x} has an action or a flag that is not known");
                PolicyError::Stopped { phase, cause: Cause::BadVerdict, detail }
            }
        }
    }

    /// The attributes that init asked for.
    pub fn wanted(&self) -> &IdSet {
        &self.wanted
    }

    #[inline]
    fn enter(&mut self, now_ns: u64) {
        self.store.data_mut().enter(now_ns, self.allowed);
        self.store.set_epoch_deadline(self.allowed.ticks);
    }

    #[inline]
    fn write(&mut self, record: &Record, attributes: &[Attribute<'_>]) -> Result<(), Failure> {
        if self.store.data().memory_moved {
            self.find_arena()?;
        }
        // SAFETY: found in the store's memory, which has not grown since (a growth asks the limiter first, which
        // notes it), and nobody else has the store.
        let arena = unsafe { &mut *self.arena };
        arena::write(arena, record, attributes, &self.wanted);
        Ok(())
    }

    /// Going through the store to its memory takes as long as writing the record there.
    #[cold]
    fn find_arena(&mut self) -> Result<(), Failure> {
        match arena(&mut self.store, self.memory, self.arena_at) {
            Some(arena) => {
                self.arena = arena;
                self.store.data_mut().memory_moved = false;
                Ok(())
            }
            // A memory never shrinks, so the arena that was there once is there.
            None => Err(Failure::Stopped(Trap::MemoryOutOfBounds.into())),
        }
    }

    fn initialise(&mut self, instance: wasmtime::Instance, config: &[u8]) -> Result<(), PolicyError> {
        if let Some(arena) = arena(&mut self.store, self.memory, self.arena_at) {
            arena[..config.len()].copy_from_slice(config);
        }
        let mut function = Functions { store: &mut self.store, instance };
        let arguments = (self.arena_at, config.len() as u32);
        let code: i32 = function.call(Phase::Init, "tg_policy_init", arguments)?;
        if code != 0 {
            return Err(PolicyError::InitRefused { code, log: said(&self.store) });
        }
        let state = self.store.data_mut();
        state.initialising = false;
        self.wanted = std::mem::take(&mut state.wanted);
        Ok(())
    }
}

/// Why an entry gave no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Stopped(Error),
    BadVerdict(i64),
}

/// Typed access to the exports, for the time of the instantiation.
struct Functions<'a> {
    store: &'a mut Store<GuestState>,
    instance: wasmtime::Instance,
}

impl Functions<'_> {
    fn get<P: WasmParams, R: WasmResults>(&mut self, phase: Phase, name: &str) -> Result<TypedFunc<P, R>, PolicyError> {
        let found = self.instance.get_typed_func(&mut *self.store, name);
        found.map_err(|error| stopped(self.store, phase, &error))
    }

    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        phase: Phase,
        name: &str,
        arguments: P,
    ) -> Result<R, PolicyError> {
        let function = self.get::<P, R>(phase, name)?;
        enter_cold(self.store);
        let result = function.call(&mut *self.store, arguments);
        result.map_err(|error| stopped(self.store, phase, &error))
    }

    /// The global is the version itself, or (as compilers export the address of a datum) the
    /// address of a magic number and the version.
    fn check_abi(&mut self, memory: Memory) -> Result<(), PolicyError> {
        let global = self.instance.get_global(&mut *self.store, "tg_policy_abi");
        let value = global.and_then(|global| global.get(&mut *self.store).i32()).unwrap_or(0);
        let word = |at: usize| {
            let bytes = memory.data(&*self.store).get(at..at.saturating_add(4))?;
            bytes.try_into().ok().map(u32::from_le_bytes)
        };
        let at = value as u32 as usize;
        let behind = (word(at) == Some(ABI_MAGIC)).then(|| word(at.saturating_add(4))).flatten();
        let found = behind.map_or(i64::from(value), i64::from);
        if found == i64::from(ABI_VERSION) { Ok(()) } else { Err(PolicyError::WrongAbi { found }) }
    }
}

fn new_store(generation: &Generation, host: Arc<PolicyState>) -> Store<GuestState> {
    let state = GuestState::new(host, generation.options.memory_max_bytes);
    let mut store = Store::new(generation.template.module().engine(), state);
    store.limiter(|state| state);
    store.epoch_deadline_callback(deadline_over);
    enter_cold(&mut store);
    store
}

/// Before start, `tg_policy_arena` and `tg_policy_init`.
fn enter_cold(store: &mut Store<GuestState>) {
    let allowed = Allowance::new(INIT_DEADLINE_NS);
    store.data_mut().enter(0, allowed);
    store.set_epoch_deadline(allowed.ticks);
}

fn deadline_over(mut store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
    let more = store.data_mut().deadline.over(deadline::thread_cpu_ns());
    Ok(more.map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue))
}

fn arena(store: &mut Store<GuestState>, memory: Memory, at: u32) -> Option<&mut Arena> {
    let bytes = memory.data_mut(store).get_mut(at as usize..)?;
    bytes.first_chunk_mut::<ARENA_BYTES>()
}

fn check_arena(at: u32, memory_bytes: usize) -> Result<(), PolicyError> {
    let fits = (at as usize).saturating_add(ARENA_BYTES) <= memory_bytes;
    if fits && at.is_multiple_of(8) && at != 0 {
        return Ok(());
    }
    Err(PolicyError::BadArena { at, memory_bytes })
}

fn cause(store: &Store<GuestState>, error: &Error) -> Cause {
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Cause::Stack,
        Some(Trap::Interrupt) => Cause::Deadline,
        _ if store.data().memory_refused => Cause::Memory,
        _ => Cause::Trap,
    }
}

fn stopped(store: &Store<GuestState>, phase: Phase, error: &Error) -> PolicyError {
    let refused = store.data().system_refused.clone();
    if let Some(refused) = refused.or_else(|| PolicyError::of_system(error)) {
        return refused;
    }
    let mut detail = format!("{error:#}");
    let said = said(store);
    if !said.is_empty() {
        detail = format!("{detail}; the guest said: {said}");
    }
    PolicyError::Stopped { phase, cause: cause(store, error), detail }
}

/// The guest's last lines.
fn said(store: &Store<GuestState>) -> String {
    let lines = store.data().host.log.read();
    let last = lines.iter().skip(lines.len().saturating_sub(3));
    last.map(|line| line.text.as_str()).collect::<Vec<_>>().join("; ")
}
