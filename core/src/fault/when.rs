//! Which calls a fault is for: those with an attribute of a certain value.

use crate::policy::Attribute;

/// The longest value that is compared.
pub const MAX_VALUE: usize = 32;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Not at all.
    Any,
    /// It is this one.
    Equal,
    /// It begins with this one.
    Prefix,
}

/// A condition on a call's attributes; plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    id: u32,
    how: How,
    len: u8,
    value: [u8; MAX_VALUE],
}

impl When {
    /// All calls.
    pub const fn any() -> When {
        When { id: 0, how: How::Any, len: 0, value: [0; MAX_VALUE] }
    }

    /// Calls whose attribute `id` is `value`; None when that is longer than [`MAX_VALUE`].
    pub fn equal(id: u32, value: &[u8]) -> Option<When> {
        When::of(id, How::Equal, value)
    }

    /// Calls whose attribute `id` begins with `value`; None when that is longer than [`MAX_VALUE`].
    pub fn prefix(id: u32, value: &[u8]) -> Option<When> {
        When::of(id, How::Prefix, value)
    }

    fn of(id: u32, how: How, value: &[u8]) -> Option<When> {
        let mut when = When { id, how, len: value.len() as u8, ..When::any() };
        when.value.get_mut(..value.len())?.copy_from_slice(value);
        Some(when)
    }

    /// Whether a call with these attributes is meant. One without the attribute is not.
    pub fn matches(&self, attributes: &[Attribute<'_>]) -> bool {
        let value = self.value.get(..usize::from(self.len)).unwrap_or_default();
        let meant = |attribute: &Attribute<'_>| match self.how {
            How::Any => true,
            How::Equal => attribute.value == value,
            How::Prefix => attribute.value.starts_with(value),
        };
        self.how == How::Any || attributes.iter().any(|attribute| attribute.id == self.id && meant(attribute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(when: When, id: u32, value: &[u8]) -> bool {
        when.matches(&[Attribute { id: 99, value: b"acme" }, Attribute { id, value }])
    }

    #[test]
    fn compares_the_named_attribute_alone() {
        let acme = When::equal(1, b"acme").unwrap();
        assert!(matches(acme, 1, b"acme"));
        assert!(!matches(acme, 1, b"acme2") && !matches(acme, 1, b"acm") && !matches(acme, 2, b"acme"));
        let prefix = When::prefix(1, b"acme").unwrap();
        assert!(matches(prefix, 1, b"acme") && matches(prefix, 1, b"acme2"));
        assert!(!matches(prefix, 1, b"acm") && !matches(prefix, 2, b"acme"));
        assert!(!acme.matches(&[]) && When::any().matches(&[]));
    }

    #[test]
    fn an_empty_value_is_one() {
        assert!(matches(When::equal(1, b"").unwrap(), 1, b"") && !matches(When::equal(1, b"").unwrap(), 1, b"a"));
        assert!(matches(When::prefix(1, b"").unwrap(), 1, b"a") && !When::prefix(1, b"").unwrap().matches(&[]));
    }

    #[test]
    fn the_longest_value_fits_and_no_longer_one() {
        assert!(matches(When::equal(1, &[7; MAX_VALUE]).unwrap(), 1, &[7; MAX_VALUE]));
        assert_eq!(When::prefix(1, &[7; MAX_VALUE + 1]), None);
        assert_eq!(When::prefix(1, &[7; 256]), None);
    }
}
