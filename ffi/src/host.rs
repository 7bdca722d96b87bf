//! The policies of a runtime: the WASM host, or, in a build without it, the answer that there is none.

/// One load, as the caller asked for it.
#[derive(Default)]
pub struct Load<'a> {
    pub wasm: &'a [u8],
    pub config: &'a [u8],
    pub deadline_ns: u64,
    pub memory_max_bytes: u64,
}

#[cfg(feature = "wasm")]
pub use with_wasm::PolicyHosts;
#[cfg(not(feature = "wasm"))]
pub use without_wasm::PolicyHosts;

#[cfg(feature = "wasm")]
mod with_wasm {
    use super::Load;
    use std::sync::Arc;
    use tidegate_core::{Error, ErrorKind, Result, Runtime};
    use tidegate_telemetry::PolicyFigures;
    use tidegate_wasm_host::{ACTIONS, Cause, Figures, Host, Options, PolicyError};

    /// The host of one runtime's policies.
    pub struct PolicyHosts(Arc<Host>);

    impl PolicyHosts {
        pub fn new(runtime: &Runtime) -> Self {
            let host = Host::with_attributes(runtime.attribute_names());
            runtime.set_policy_host(host.clone());
            PolicyHosts(host)
        }

        /// Frees what policies hold.
        pub fn close(&self) {
            for figures in self.0.figures().unwrap_or_default() {
                // It may have been unloaded meanwhile, which is as good.
                let _ = self.0.unload(&figures.name);
            }
            self.0.collect();
        }

        pub fn prepare_thread(&self) {
            self.0.prepare_thread();
        }

        pub fn load(&self, name: &str, load: &Load<'_>) -> Result<()> {
            self.0.load(name, load.wasm, &options(load)).map(drop).map_err(error)
        }

        pub fn check(&self, load: &Load<'_>) -> Result<()> {
            self.0.check(load.wasm, &options(load)).map_err(error)
        }

        pub fn rollback(&self, name: &str) -> Result<()> {
            self.0.rollback(name).map(drop).map_err(error)
        }

        pub fn unload(&self, name: &str) -> Result<()> {
            self.0.unload(name).map_err(error)
        }

        pub fn generation(&self, name: &str) -> Result<u64> {
            self.0.generation(name).map_err(error)
        }

        pub fn figures(&self) -> Vec<PolicyFigures> {
            self.0.figures().unwrap_or_default().into_iter().map(exposed).collect()
        }
    }

    fn options(load: &Load<'_>) -> Options {
        Options {
            config: load.config.to_vec(),
            deadline_ns: load.deadline_ns,
            memory_max_bytes: usize::try_from(load.memory_max_bytes).unwrap_or(usize::MAX),
            ..Options::default()
        }
    }

    fn error(error: PolicyError) -> Error {
        use PolicyError::*;
        let kind = match error {
            BadName { .. } | BadOption { .. } => ErrorKind::Invalid,
            NotLoaded { .. } | NothingToRollBackTo { .. } => ErrorKind::NotFound,
            TooManyPolicies { .. } | TooManyAttributes { .. } => ErrorKind::Full,
            Busy { .. } => ErrorKind::Busy,
            Host { .. } | System { .. } => ErrorKind::System,
            _ => ErrorKind::PolicyRejected,
        };
        Error::new(kind, error.to_string())
    }

    fn exposed(from: Figures) -> PolicyFigures {
        PolicyFigures {
            name: from.name,
            generation: from.generation,
            calls: ACTIONS.into_iter().zip(from.calls).collect(),
            failures: Cause::ALL.iter().map(|cause| cause.label()).zip(from.failures).collect(),
            swaps: from.swaps,
            rollbacks: from.rollbacks,
            quarantined: from.quarantines,
            counters: from.counters,
        }
    }
}

#[cfg(not(feature = "wasm"))]
mod without_wasm {
    use super::Load;
    use tidegate_core::{Error, ErrorKind, Result, Runtime};
    use tidegate_telemetry::PolicyFigures;

    /// There are no policies in this build.
    pub struct PolicyHosts;

    impl PolicyHosts {
        pub fn new(_: &Runtime) -> Self {
            PolicyHosts
        }

        pub fn close(&self) {}

        pub fn prepare_thread(&self) {}

        pub fn load(&self, _: &str, load: &Load<'_>) -> Result<()> {
            self.check(load)
        }

        pub fn check(&self, load: &Load<'_>) -> Result<()> {
            let asked = (load.wasm.len(), load.config.len(), load.deadline_ns, load.memory_max_bytes);
            unsupported(&format!("a module of {} bytes cannot be loaded", asked.0))
        }

        pub fn rollback(&self, name: &str) -> Result<()> {
            self.unload(name)
        }

        pub fn unload(&self, name: &str) -> Result<()> {
            unsupported(&format!("there is no policy {name:?}"))
        }

        pub fn generation(&self, name: &str) -> Result<u64> {
            self.unload(name).map(|()| 0)
        }

        pub fn figures(&self) -> Vec<PolicyFigures> {
            Vec::new()
        }
    }

    fn unsupported<T>(what: &str) -> Result<T> {
        Err(Error::new(ErrorKind::Unsupported, format!("{what}: this library was built without WASM")))
    }
}
