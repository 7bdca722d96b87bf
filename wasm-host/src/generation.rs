//! One compiled module with the options it was loaded with.

use crate::engine::{self, Machine, User};
use crate::error::PolicyError;
use crate::guest::GuestState;
use crate::instance::Instance;
use crate::options::Options;
use crate::state::PolicyState;
use crate::{check, golden, stack, thread};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use tidegate_core::policy::AttributeNames;
use wasmtime::InstancePre;

/// What instances are made from.
pub(crate) struct Generation {
    pub template: ManuallyDrop<InstancePre<GuestState>>,
    machine: &'static Machine,
    pub options: Options,
    pub observes: bool,
    pub keeps_numbers: bool,
}

impl Generation {
    /// Checks, compiles, instantiates, initialises, and makes the golden calls; the last three on
    /// an instance with host state of its own, so that nothing of a module that is refused stays.
    pub fn build(bytes: &[u8], options: &Options, attributes: &Arc<dyn AttributeNames>) -> Result<Self, PolicyError> {
        let options = options.checked()?;
        if !stack::suffices_for_a_load() {
            let detail = "compiling a module takes 512 KiB of stack, and this thread has less left".into();
            return Err(PolicyError::Host { detail });
        }
        let (_user, machine) = engine::enter()?;
        let module = check::compile(&machine.engine, bytes, options.memory_max_bytes)?;
        let template = machine.linker.instantiate_pre(&module).map_err(|error| PolicyError::not_compiled(&error))?;
        let generation = Self {
            template: ManuallyDrop::new(template),
            machine,
            options,
            observes: check::exports_observe(&module),
            keeps_numbers: check::imports_numbers(&module),
        };
        generation.try_out(attributes)?;
        Ok(generation)
    }

    fn try_out(&self, attributes: &Arc<dyn AttributeNames>) -> Result<(), PolicyError> {
        let host = Arc::new(PolicyState::new(Arc::clone(attributes)));
        let pin = thread::Pin::cold()?;
        self.prepare(&host);
        golden::run(&mut Instance::new(self, host)?)?;
        drop(pin);
        Ok(())
    }

    /// Takes the memory that calls of this generation will want in `host`.
    pub fn prepare(&self, host: &PolicyState) {
        if self.keeps_numbers {
            host.numbers.prepare();
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        let _user = User::new();
        // A machine that a fork tore may have locks that are held for ever: there it is left lying.
        if self.machine.is_sound() {
            // SAFETY: the template is not used again.
            unsafe { ManuallyDrop::drop(&mut self.template) };
        }
    }
}
