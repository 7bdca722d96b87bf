//! The policies of one runtime.

use crate::attributes::{Interner, id_of};
use crate::entry::{Entry, generation_of};
use crate::error::PolicyError;
use crate::figures::Figures;
use crate::generation::Generation;
use crate::lock::Table;
use crate::log::LogLine;
use crate::options::{Options, check_name};
use crate::registry;
use crate::state::PolicyState;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use tidegate_core::policy::{AttributeNames, Policy, PolicyHost};

/// The most policies that one host has loaded at once.
pub const POLICIES_MAX: usize = 256;

/// Loads, swaps and finds policies. All of it may be called from any thread at any time; loading is
/// **cold** (it compiles), and never holds up a call.
pub struct Host {
    pub(crate) policies: Table<BTreeMap<String, Arc<Entry>>>,
    pub(crate) attributes: Arc<dyn AttributeNames>,
    epoch: AtomicU64,
}

impl Host {
    /// A host without policies, whose attribute names are its own. The engine and its one thread come with the first load.
    pub fn new() -> Arc<Self> {
        Self::with_attributes(Arc::new(Interner::default()))
    }

    /// The same whose attribute names are somebody else's: a runtime's
    /// ([`tidegate_core::Runtime::attribute_names`]), so that its rules and callers have the same.
    pub fn with_attributes(attributes: Arc<dyn AttributeNames>) -> Arc<Self> {
        Arc::new(Self { policies: Table::new("the table of policies"), attributes, epoch: AtomicU64::new(1) })
    }

    /// Checks a module, compiles it, tries it out on made-up calls, and publishes it under `name`
    /// with one pointer store; gives its generation: 1, 2, 3... A name loaded before is swapped:
    /// calls in flight stay with the generation that decided them.
    ///
    /// # Errors
    /// Whatever [`Host::check`] finds, a bad name, or too many policies. What served goes on.
    pub fn load(&self, name: &str, wasm: &[u8], options: &Options) -> Result<u64, PolicyError> {
        check_name(name)?;
        self.room_for(name)?;
        let generation = Generation::build(wasm, options, &self.attributes)?;
        let entry = self.entry_for(name)?;
        let published = entry.publish(generation);
        if published.is_err() && entry.current.load(Acquire) == 0 {
            self.forget(&entry)?;
        }
        self.epoch.fetch_add(1, AcqRel);
        published
    }

    /// Does all that [`Host::load`] does, but does not publish.
    ///
    /// # Errors
    /// What is wrong with the module or the options, where, and what would be right.
    pub fn check(&self, wasm: &[u8], options: &Options) -> Result<(), PolicyError> {
        Generation::build(wasm, options, &self.attributes).map(drop)
    }

    /// Lets the previous good generation serve again, which was kept compiled; gives its number.
    ///
    /// # Errors
    /// Nothing is loaded under this name, or there is no earlier generation.
    pub fn rollback(&self, name: &str) -> Result<u64, PolicyError> {
        self.entry(name)?.roll_back()
    }

    /// Takes a policy away. Guards that name it get no answer from now on; its limiters, counters
    /// and numbers are forgotten.
    ///
    /// # Errors
    /// Nothing is loaded under this name.
    pub fn unload(&self, name: &str) -> Result<(), PolicyError> {
        let entry = self.entry(name)?;
        entry.unload()?;
        self.forget(&entry)?;
        self.epoch.fetch_add(1, AcqRel);
        Ok(())
    }

    /// The number of the generation that serves; 0: it failed too often and there was no earlier one.
    ///
    /// # Errors
    /// Nothing is loaded under this name.
    pub fn generation(&self, name: &str) -> Result<u64, PolicyError> {
        Ok(generation_of(self.entry(name)?.current.load(Acquire)))
    }

    /// The id of an attribute's name, the same one for guests and callers; from 1 up.
    ///
    /// # Errors
    /// The name is empty or over 128 bytes, or there are 1023 others.
    pub fn attribute_id(&self, name: &str) -> Result<u32, PolicyError> {
        id_of(&*self.attributes, name)
    }

    /// The figures of each policy, by name.
    ///
    /// # Errors
    /// A lock was held for too long.
    pub fn figures(&self) -> Result<Vec<Figures>, PolicyError> {
        let policies = self.policies.get()?;
        policies.values().map(|entry| entry.figures()).collect()
    }

    /// The figures of one policy.
    ///
    /// # Errors
    /// Nothing is loaded under this name.
    pub fn figures_of(&self, name: &str) -> Result<Figures, PolicyError> {
        self.entry(name)?.figures()
    }

    /// The last lines that the guests of a policy logged, oldest first; at most
    /// [`LOG_LINES`](crate::LOG_LINES).
    ///
    /// # Errors
    /// Nothing is loaded under this name.
    pub fn log(&self, name: &str) -> Result<Vec<LogLine>, PolicyError> {
        Ok(self.entry(name)?.state.log.read())
    }

    /// Does now what this thread's first call of each policy would do first: takes the thread's slot, lets the engine
    /// look at its alternate signal stack (which is the same afterwards), and makes its instances. Policies loaded
    /// later bring theirs along. False when something was not to be had; a call would try again.
    pub fn prepare_thread(&self) -> bool {
        let Ok(policies) = self.policies.get() else {
            return false;
        };
        crate::thread::Slot::own().is_some_and(|slot| policies.values().all(|entry| entry.prepare(slot)))
    }

    /// Frees what can be freed now, instead of soon: old generations whose last call has ended, and
    /// the instances of threads that have.
    pub fn collect(&self) {
        registry::collect();
        registry::trim();
    }

    pub(crate) fn entry(&self, name: &str) -> Result<Arc<Entry>, PolicyError> {
        let found = self.policies.get()?.get(name).cloned();
        found.ok_or_else(|| PolicyError::NotLoaded { name: name.into() })
    }

    fn room_for(&self, name: &str) -> Result<(), PolicyError> {
        has_room(&*self.policies.get()?, name)
    }

    fn entry_for(&self, name: &str) -> Result<Arc<Entry>, PolicyError> {
        if let Some(known) = self.policies.get()?.get(name) {
            return Ok(Arc::clone(known));
        }
        let state = PolicyState::new(Arc::clone(&self.attributes));
        let new = Arc::new(Entry::new(name, state));
        registry::add(&new)?;
        self.policies.change(|policies| {
            has_room(policies, name)?;
            Ok(Arc::clone(policies.entry(name.into()).or_insert(new)))
        })?
    }

    /// Removes this very entry, not one that has come in its place.
    fn forget(&self, entry: &Arc<Entry>) -> Result<(), PolicyError> {
        self.policies.change(|policies| {
            if policies.get(&entry.name).is_some_and(|known| Arc::ptr_eq(known, entry)) {
                policies.remove(&entry.name);
            }
        })
    }
}

fn has_room(policies: &BTreeMap<String, Arc<Entry>>, name: &str) -> Result<(), PolicyError> {
    if policies.len() < POLICIES_MAX || policies.contains_key(name) {
        return Ok(());
    }
    Err(PolicyError::TooManyPolicies { max: POLICIES_MAX })
}

impl PolicyHost for Host {
    fn find(&self, name: &str) -> Option<Arc<dyn Policy>> {
        self.entry(name).ok().map(|entry| entry as Arc<dyn Policy>)
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Acquire)
    }
}
