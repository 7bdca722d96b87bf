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

    /// As plain words, for a block in the segment.
    pub(super) fn words(&self) -> [u64; 5] {
        let mut words = [u64::from(self.id) | (self.how as u64) << 32 | u64::from(self.len) << 40, 0, 0, 0, 0];
        let (chunks, _) = self.value.as_chunks();
        words.iter_mut().skip(1).zip(chunks).for_each(|(word, chunk)| *word = u64::from_le_bytes(*chunk));
        words
    }

    /// From [`When::words`]; garbage gives some condition.
    pub(super) fn from_words([head, parts @ ..]: [u64; 5]) -> When {
        let mut when = When { id: head as u32, how: how(head), len: (head >> 40) as u8, value: [0; MAX_VALUE] };
        when.value.as_chunks_mut().0.iter_mut().zip(parts).for_each(|(chunk, part)| *chunk = part.to_le_bytes());
        when
    }

    /// Whether a condition whose first word this is means no call with these attributes: by names and lengths alone.
    #[inline]
    pub fn spares(head: u64, attributes: &[Attribute<'_>]) -> bool {
        let len = usize::from((head >> 40) as u8);
        let fits = |value: &[u8]| if how(head) == How::Equal { value.len() == len } else { value.len() >= len };
        let meant = |attribute: &Attribute<'_>| attribute.id == head as u32 && fits(attribute.value);
        how(head) != How::Any && len <= MAX_VALUE && !attributes.iter().any(meant)
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

#[inline]
fn how(head: u64) -> How {
    match head >> 32 & 3 {
        0 => How::Any,
        1 => How::Equal,
        _ => How::Prefix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(when: When, id: u32, value: &[u8]) -> bool {
        let attributes = [Attribute { id: 99, value: b"acme" }, Attribute { id, value }];
        let matches = when.matches(&attributes);
        assert!(!(matches && When::spares(when.words()[0], &attributes)), "spared at first sight");
        matches
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
    fn names_and_lengths_spare_most_at_first_sight() {
        let spares = |when: When, id, value: &[u8]| When::spares(when.words()[0], &[Attribute { id, value }]);
        let (acme, prefix) = (When::equal(1, b"acme").unwrap(), When::prefix(1, b"acme").unwrap());
        assert!(spares(acme, 2, b"acme") && spares(acme, 1, b"acm") && spares(acme, 1, b"acme2"));
        assert!(spares(prefix, 2, b"acme") && spares(prefix, 1, b"acm") && !spares(prefix, 1, b"acme2"));
        assert!(!spares(acme, 1, b"tnt!") && !spares(When::any(), 1, b""));
    }

    #[test]
    fn words_keep_every_byte() {
        let value: Vec<u8> = (100..100 + MAX_VALUE as u8).collect();
        for when in [When::any(), When::equal(u32::MAX, &value).unwrap(), When::prefix(7, b"acme").unwrap()] {
            assert_eq!(When::from_words(when.words()), when);
        }
        let too_long = When::from_words([u64::MAX; 5]);
        assert!(matches(too_long, u32::MAX, b""), "a length that is no length is none");
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
