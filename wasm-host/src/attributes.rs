//! Names of attributes, interned once so that a call carries numbers.

use crate::error::PolicyError;
use crate::lock::{self, Table};
use std::sync::Arc;

/// The most attribute names that a host knows.
pub const ATTRIBUTES_MAX: usize = 1023;
const NAME_MAX_BYTES: usize = 128;

/// The names known to one host. Ids run from 1, so that a zeroed attribute is none.
pub(crate) struct Interner {
    names: Table<Vec<Arc<str>>>,
}

impl Default for Interner {
    fn default() -> Self {
        Self { names: Table::new("the table of attribute names") }
    }
}

impl Interner {
    /// The id of `name`, which is 1 to 128 bytes long; the same one each time.
    pub fn id(&self, name: &str) -> Result<u32, PolicyError> {
        let full = PolicyError::TooManyAttributes { max: ATTRIBUTES_MAX };
        if name.is_empty() || name.len() > NAME_MAX_BYTES {
            return Err(full);
        }
        let known = lock::position_or_push(&self.names, name, ATTRIBUTES_MAX)?;
        known.map(|at| at as u32 + 1).ok_or(full)
    }

    #[cfg(test)]
    pub fn held(&self) -> Option<impl Drop + '_> {
        self.names.held()
    }
}

/// A set of attribute ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdSet {
    bits: [u64; (ATTRIBUTES_MAX + 1) / 64],
    count: u32,
}

impl IdSet {
    pub fn insert(&mut self, id: u32) {
        if !self.contains(id) && id as usize <= ATTRIBUTES_MAX {
            self.bits[id as usize / 64] |= 1 << (id % 64);
            self.count += 1;
        }
    }

    #[inline]
    pub fn contains(&self, id: u32) -> bool {
        self.bits.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..=ATTRIBUTES_MAX as u32).filter(|id| self.contains(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_id() {
        let interner = Interner::default();
        let tier = interner.id("tier").expect("room");
        let tenant = interner.id("tenant").expect("room");
        assert_eq!((tier, tenant), (1, 2));
        assert_eq!(interner.id("tier"), Ok(tier));
    }

    #[test]
    fn names_are_bounded() {
        let interner = Interner::default();
        assert!(interner.id("").is_err());
        assert!(interner.id(&"x".repeat(129)).is_err());
        for n in 0..ATTRIBUTES_MAX {
            assert_eq!(interner.id(&format!("a{n}")), Ok(n as u32 + 1));
        }
        assert!(interner.id("one too many").is_err());
        assert_eq!(interner.id("a0"), Ok(1));
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = IdSet::default();
        assert!(set.is_empty());
        for id in [1, 63, 64, 1023, 1024, u32::MAX, 64] {
            set.insert(id);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 63, 64, 1023]);
        assert!(!set.contains(2) && !set.contains(u32::MAX));
    }
}
