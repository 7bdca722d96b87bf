//! Names of attributes, interned once so that a call carries numbers.

use crate::error::PolicyError;
use crate::lock::{self, Table};
use std::sync::Arc;
use tidegate_core::policy::{ATTRIBUTES_MAX, AttributeNames};

const NAME_MAX_BYTES: usize = 128;

/// The names known to a host that is nobody's but its own. Ids run from 1, so that a zeroed attribute is none.
pub(crate) struct Interner {
    names: Table<Vec<Arc<str>>>,
}

impl Default for Interner {
    fn default() -> Self {
        Self { names: Table::new("the table of attribute names") }
    }
}

impl AttributeNames for Interner {
    fn id(&self, name: &str) -> Option<u32> {
        if name.is_empty() || name.len() > NAME_MAX_BYTES {
            return None;
        }
        let known = lock::position_or_push(&self.names, name, ATTRIBUTES_MAX).ok()??;
        Some(known as u32 + 1)
    }
}

/// The id of `name`, or what is wrong with it.
pub(crate) fn id_of(names: &dyn AttributeNames, name: &str) -> Result<u32, PolicyError> {
    names.id(name).ok_or(PolicyError::TooManyAttributes { max: ATTRIBUTES_MAX })
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
        let tier = interner.id("tier");
        let tenant = interner.id("tenant");
        assert_eq!((tier, tenant), (Some(1), Some(2)));
        assert_eq!(interner.id("tier"), tier);
    }

    #[test]
    fn names_are_bounded() {
        let interner = Interner::default();
        assert!(interner.id("").is_none());
        assert!(interner.id(&"x".repeat(129)).is_none());
        for n in 0..ATTRIBUTES_MAX {
            assert_eq!(interner.id(&format!("a{n}")), Some(n as u32 + 1));
        }
        assert!(interner.id("one too many").is_none());
        assert_eq!(interner.id("a0"), Some(1));
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
