//! Counted breakers by name. **Cold.**

use super::resolve::full;
use super::shared::Shared;
use crate::breaker::counts::Rule;
use crate::breaker::handle::{CountedBreaker, RULE_WORDS, table_of, write_rule};
use crate::error::{Error, ErrorKind, Result};
use crate::segment::directory::{Directory, Found, Kind};
use std::sync::atomic::Ordering::*;

impl Shared {
    /// The breaker of this name, made if need be; without a name, a new one of the process's own.
    pub(super) fn breaker(&'static self, name: &str, rule: Rule) -> Result<&'static CountedBreaker> {
        self.open_or_err()?;
        if name.is_empty() {
            let breaker = CountedBreaker::own(self, rule);
            return Ok(breaker);
        }
        super::resolve::check_guard_name(name)?;
        let _locked = self.locked()?;
        if let Some(known) = self.caches()?.breakers.get(name).copied().filter(|known| known.is_alive()) {
            return Shared::same_rule(&known.rule(), &rule).map(|()| known);
        }
        let found = match Directory(self.segment()).find(Kind::Breaker, name) {
            Some(found) => found,
            None => self.make_breaker(name, &rule)?,
        };
        let breaker = CountedBreaker::leak(self, found).ok_or_else(full)?;
        Shared::same_rule(&breaker.rule(), &rule)?;
        self.caches()?.breakers.insert(name.into(), breaker);
        Ok(breaker)
    }

    fn make_breaker(&self, name: &str, rule: &Rule) -> Result<Found> {
        let count = RULE_WORDS + rule.words();
        let at = self.take_table(count).ok_or_else(full)?;
        let made = self.segment().view().words(at, count).and_then(|words| {
            write_rule(words, rule);
            Directory(self.segment()).insert(Kind::Breaker, name, "", |_, cell| {
                cell.words[0].store(at.into(), Relaxed);
                cell.words[1].store(count as u64, Relaxed);
            })
        });
        if made.is_none() {
            self.give_back_table(at, count);
        }
        made.ok_or_else(full)
    }

    pub(crate) fn retire_breaker(&self, breaker: &CountedBreaker) -> Result<()> {
        let _locked = self.locked()?;
        let ended = || Error::new(ErrorKind::Closed, "the runtime was closed or the breaker retired");
        let alive = breaker.is_alive();
        if !breaker.mark_dead() || !alive {
            return Err(ended());
        }
        let Some(found) = breaker.found() else { return Ok(()) };
        let directory = Directory(self.segment());
        let cell = directory.cell(found.at).ok_or_else(ended)?;
        let (name, (at, count)) = (directory.name(cell), table_of(cell));
        if directory.retire(found) {
            self.give_back_table(at, count);
        }
        self.caches()?.breakers.remove(&name);
        Ok(())
    }
}
