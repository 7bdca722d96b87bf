//! Names of attributes, interned in the segment, so that a call carries numbers that mean the same to every process,
//! to the rules and to policies. **Cold.**

use super::Shared;
use super::resolve::full;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::{ATTRIBUTES_MAX, AttributeNames};
use crate::segment::directory::{Directory, Kind};
use std::sync::atomic::Ordering::*;

/// The longest name, in bytes.
const MAX_NAME: usize = 128;

impl Shared {
    /// The id of an attribute's name, from 1 up; the same one for good.
    pub(super) fn attribute(&self, name: &str) -> Result<u32> {
        check(name)?;
        self.open_or_err()?;
        if let Some(id) = self.caches()?.attributes.get(name) {
            return Ok(*id);
        }
        let _locked = self.locked()?;
        let id = self.find_or_number(name)?;
        self.caches()?.attributes.insert(name.into(), id);
        Ok(id)
    }

    /// The same for whoever has the cold lock.
    pub(super) fn attribute_under_lock(&self, name: &str) -> Result<u32> {
        check(name)?;
        self.find_or_number(name)
    }

    fn find_or_number(&self, name: &str) -> Result<u32> {
        let directory = Directory(self.segment());
        if let Some(cell) = directory.find(Kind::Attribute, name).and_then(|found| directory.cell(found.at)) {
            return Ok(cell.link.load(Relaxed));
        }
        let mut known = 0;
        directory.each(Kind::Attribute, |_, _| known += 1);
        if known >= ATTRIBUTES_MAX as u32 {
            let what = format!("attribute {name:?}: {ATTRIBUTES_MAX} names are known already, which is the most");
            return Err(Error::new(ErrorKind::Full, what));
        }
        let made = directory.insert(Kind::Attribute, name, "", |_, cell| cell.link.store(known + 1, Relaxed));
        made.map(|_| known + 1).ok_or_else(full)
    }
}

/// The names of one runtime, for its policy host.
pub(super) struct Names(pub(super) &'static Shared);

impl AttributeNames for Names {
    fn id(&self, name: &str) -> Option<u32> {
        self.0.attribute(name).ok()
    }
}

fn check(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        let len = name.len();
        let what = format!("attribute name: {len} bytes; it must have 1 to {MAX_NAME}, without control characters");
        return Err(Error::new(ErrorKind::Invalid, what));
    }
    Ok(())
}
