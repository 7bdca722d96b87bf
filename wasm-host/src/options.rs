//! What an operator may choose for one policy, and the bounds of the choice.

use crate::error::PolicyError;

/// The largest module that is looked at, in bytes.
pub const MODULE_MAX_BYTES: usize = 8 << 20;
/// The largest memory that an operator may grant, in bytes.
pub const MEMORY_MAX_BYTES: usize = 256 << 20;
/// The longest deadline that an operator may grant a decision, in nanoseconds.
pub const DEADLINE_MAX_NS: u64 = 1_000_000_000;
/// What start, `tg_policy_arena` and `tg_policy_init` have together, in nanoseconds.
pub const INIT_DEADLINE_NS: u64 = 100_000_000;
/// The longest name of a policy, in bytes.
pub const NAME_MAX_BYTES: usize = 128;

const DEADLINE_DEFAULT_NS: u64 = 1_000_000;
const MEMORY_DEFAULT_BYTES: usize = 16 << 20;

/// What an operator chooses for one load of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Handed to the guest's `tg_policy_init`, as a rule JSON; at most
    /// [`ARENA_BYTES`](crate::ARENA_BYTES) bytes.
    pub config: Vec<u8>,
    /// How long one decision may keep a processor, in nanoseconds of the thread's own time;
    /// rounded up to the next millisecond. 0: one millisecond.
    pub deadline_ns: u64,
    /// How far one instance's memory may grow, in bytes. 0: 16 MiB.
    pub memory_max_bytes: usize,
    /// So many failures one after another put a generation out of service. 0: 5.
    pub strikes_in_a_row: u32,
    /// So many failures within ten seconds do the same. 0: 100.
    pub strikes_in_window: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: Vec::new(),
            deadline_ns: DEADLINE_DEFAULT_NS,
            memory_max_bytes: MEMORY_DEFAULT_BYTES,
            strikes_in_a_row: 5,
            strikes_in_window: 100,
        }
    }
}

impl Options {
    /// These options with every 0 replaced by its default, or what is wrong with them.
    pub(crate) fn checked(&self) -> Result<Self, PolicyError> {
        let or = |value: u64, default: u64| if value == 0 { default } else { value };
        let checked = Self {
            config: self.config.clone(),
            deadline_ns: or(self.deadline_ns, DEADLINE_DEFAULT_NS),
            memory_max_bytes: or(self.memory_max_bytes as u64, MEMORY_DEFAULT_BYTES as u64) as usize,
            strikes_in_a_row: or(self.strikes_in_a_row.into(), 5) as u32,
            strikes_in_window: or(self.strikes_in_window.into(), 100) as u32,
        };
        checked.refuse_absurd()?;
        Ok(checked)
    }

    fn refuse_absurd(&self) -> Result<(), PolicyError> {
        at_most("deadline_ns", self.deadline_ns, DEADLINE_MAX_NS)?;
        at_most("memory_max_bytes", self.memory_max_bytes as u64, MEMORY_MAX_BYTES as u64)?;
        at_most("config (bytes)", self.config.len() as u64, crate::ARENA_BYTES as u64)
    }
}

fn at_most(option: &'static str, value: u64, max: u64) -> Result<(), PolicyError> {
    if value <= max {
        return Ok(());
    }
    Err(PolicyError::BadOption { option, value, max })
}

/// A policy's name: 1 to [`NAME_MAX_BYTES`] bytes.
pub(crate) fn check_name(name: &str) -> Result<(), PolicyError> {
    if (1..=NAME_MAX_BYTES).contains(&name.len()) {
        return Ok(());
    }
    Err(PolicyError::BadName { bytes: name.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_the_default() {
        let zero = Options {
            config: Vec::new(),
            deadline_ns: 0,
            memory_max_bytes: 0,
            strikes_in_a_row: 0,
            strikes_in_window: 0,
        };
        assert_eq!(zero.checked(), Ok(Options::default()));
    }

    #[test]
    fn absurd_options_are_named() {
        let absurd = [
            Options { deadline_ns: u64::MAX, ..Options::default() },
            Options { memory_max_bytes: usize::MAX, ..Options::default() },
            Options { config: vec![b' '; crate::ARENA_BYTES + 1], ..Options::default() },
        ];
        for options in absurd {
            assert!(matches!(options.checked(), Err(PolicyError::BadOption { .. })));
        }
    }

    #[test]
    fn names_are_bounded() {
        assert!(check_name("").is_err());
        assert!(check_name("tenant-tiers").is_ok());
        assert!(check_name(&"x".repeat(NAME_MAX_BYTES + 1)).is_err());
    }
}
