//! Putting rules in force: parse, compile every guard's numbers, publish with one store.
//!
//! Each guard has two places for its numbers; the parity of the header's turn says which is in force. The other
//! places are filled first, then the turn is stored. A process that dies in between has changed nothing.

use super::resolve::full;
use super::shared::{Locked, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::bring_word_over;
use crate::guard::cell::GuardCell;
use crate::guard::numbers::{self, Block, NO_RULES, Numbers, compile};
use crate::rules::{self, GuardRules, Problem, Report, RuleSet};
use crate::segment::Offset;
use crate::segment::directory::{Directory, Found, Kind};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// The rules in force, as this process read them.
pub struct CompiledRules {
    turn: u64,
    set: RuleSet,
}

/// Parses a document and tries its numbers. Every error at once.
pub fn check_rules(json: &[u8]) -> std::result::Result<RuleSet, Report> {
    let set = rules::parse(json)?;
    let guards = set.guards.iter().map(|(name, rules)| (format!("$.guards[{name:?}]"), rules));
    let all = guards.chain([("$.defaults".to_owned(), &set.defaults)]);
    let problem = |(path, rules): (String, &GuardRules)| {
        compile(rules, &NO_RULES.read(), 0).err().map(|error| Problem { path, message: error.message })
    };
    let errors: Vec<_> = all.filter_map(problem).collect();
    if errors.is_empty() { Ok(set) } else { Err(Report { errors, ..Report::default() }) }
}

impl Shared {
    pub(super) fn apply_rules(&self, json: &[u8]) -> Result<()> {
        let set = check_rules(json).map_err(|report| Error {
            kind: ErrorKind::Invalid,
            message: report.summary(480),
            count: report.count() as u32,
        })?;
        let locked = self.locked()?;
        let now_in_force = self.rules_in_force(&locked)?;
        if set.version == now_in_force.set.version && set.canonical == now_in_force.set.canonical {
            return Ok(());
        }
        refuse_stale(&set, &now_in_force.set)?;
        self.publish(set)
    }

    fn publish(&self, set: RuleSet) -> Result<()> {
        let (segment, header) = (self.segment(), self.segment().header());
        let directory = Directory(segment);
        let turn = header.rules_turn.load(Acquire);
        let (side, now) = ((turn + 1) as usize & 1, self.clock().now());
        let text = directory.store_bytes(set.canonical.as_bytes()).ok_or_else(full)?;
        let rules = CompiledRules { turn: turn + 1, set };
        let staged = match self.compile_all(&rules, now) {
            Ok(staged) => staged,
            Err(error) => {
                segment.free(text, rules.set.canonical.len());
                return Err(error);
            }
        };
        let replaced = self.stage(&staged, side);
        let old_text = header.rules_text[side].swap(text, AcqRel);
        let old_len = header.rules_len[side].swap(rules.set.canonical.len() as u64, AcqRel);
        header.rules_version.store(rules.set.version, Release);
        header.rules_turn.store(turn + 1, Release);
        header.changes.fetch_add(1, AcqRel);
        staged.iter().for_each(|(found, block)| self.bring_words_over(found, *block, now));
        replaced.into_iter().for_each(|block| self.free_block(block));
        if old_text != 0 {
            segment.free(old_text, old_len as usize);
        }
        self.caches()?.rules = Some(Arc::new(rules));
        Ok(())
    }

    /// The numbers of every guard under these rules: the block that it has where nothing changed.
    fn compile_all(&self, rules: &CompiledRules, now: u64) -> Result<Vec<(Found, Offset)>> {
        let directory = Directory(self.segment());
        let side = (rules.turn.wrapping_sub(1) & 1) as usize;
        let mut guards = Vec::new();
        directory.each(Kind::Guard, |found, cell| {
            guards.push((found, directory.name(cell), cell.words[side].load(Acquire) as Offset));
        });
        let mut staged: Vec<(Found, Offset)> = Vec::with_capacity(guards.len());
        let mut made: Vec<Offset> = Vec::new();
        for (found, name, old) in guards {
            match self.block_for(rules, &name, Some(old), now).and_then(|block| block.ok_or_else(full)) {
                Ok(block) => {
                    staged.push((found, block));
                    made.extend((block != old).then_some(block));
                }
                Err(error) => {
                    made.into_iter().for_each(|block| self.free_block(block));
                    return Err(error);
                }
            }
        }
        Ok(staged)
    }

    /// Fills the places that are not in force, and tells which blocks they held that nothing refers to any more.
    fn stage(&self, staged: &[(Found, Offset)], side: usize) -> Vec<Offset> {
        let directory = Directory(self.segment());
        let mut replaced = Vec::new();
        for (found, block) in staged {
            let Some(cell) = directory.cell(found.at) else { continue };
            let in_force = cell.words[side ^ 1].load(Acquire) as Offset;
            let before = cell.words[side].swap((*block).into(), AcqRel) as Offset;
            if before != in_force && before != *block {
                replaced.push(before);
            }
        }
        replaced
    }

    fn bring_words_over(&self, found: &Found, block: Offset, now: u64) {
        let segment = self.segment();
        let (Some(guard), Some(block)) = (segment.at::<GuardCell>(found.at), segment.at::<Block>(block)) else {
            return;
        };
        for index in 0..block.rate_count() {
            while !block.rate(index).bucket().owns(guard.hot.rates[index].load(Acquire)) {
                bring_word_over(&guard.hot.rates[index], block, index, now);
            }
        }
        for rate in &guard.hot.rates[block.rate_count()..] {
            rate.store(0, Release);
        }
    }

    /// A block with the guard's numbers: the one at `old` when it says the same already. None: no room.
    pub(super) fn block_for(
        &self,
        rules: &CompiledRules,
        name: &str,
        old: Option<Offset>,
        now: u64,
    ) -> Result<Option<Offset>> {
        let own = rules.set.guard(name);
        let before = old.and_then(|at| self.segment().at::<Block>(at)).map_or_else(|| NO_RULES.read(), Block::read);
        let mut numbers = compile(&own, &before, now)?;
        let policy = own.policy.as_ref().map_or("", |policy| policy.name.as_str());
        if self.policy_name_of(&before) == policy {
            numbers.policy = before.policy;
        }
        let same = numbers == before && self.policy_name_of(&numbers) == policy;
        if let Some(old) = old.filter(|&at| same && at != 0) {
            return Ok(Some(old));
        }
        Ok(self.new_block(numbers, policy))
    }

    fn new_block(&self, mut numbers: Numbers, policy: &str) -> Option<Offset> {
        let segment = self.segment();
        numbers.policy = (0, 0);
        if !policy.is_empty() {
            numbers.policy = (Directory(segment).store_bytes(policy.as_bytes())?.into(), policy.len() as u64);
        }
        let Some(at) = segment.alloc(numbers::BYTES) else {
            self.free_policy_name(&numbers);
            return None;
        };
        let tag = segment.header().last_tag.fetch_add(1, AcqRel) + 1;
        segment.at::<Block>(at)?.write(&numbers, tag);
        Some(at)
    }

    pub(super) fn free_block(&self, at: Offset) {
        if let Some(block) = self.segment().at::<Block>(at) {
            let numbers = block.read();
            block.void();
            self.free_policy_name(&numbers);
            self.segment().free(at, numbers::BYTES);
        }
    }

    fn free_policy_name(&self, numbers: &Numbers) {
        if numbers.policy.0 != 0 {
            self.segment().free(numbers.policy.0 as Offset, numbers.policy.1 as usize);
        }
    }

    fn policy_name_of(&self, numbers: &Numbers) -> String {
        self.text(numbers.policy)
    }

    fn text(&self, (at, len): (u64, u64)) -> String {
        if at == 0 || len > 1024 {
            return String::new();
        }
        let bytes = Directory(self.segment()).bytes(at as Offset, len as usize);
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The name of the policy that a guard's numbers bind; None when they were replaced meanwhile.
    pub(crate) fn policy_name(&self, numbers: &Block) -> Option<String> {
        let tag = numbers.tag();
        let name = self.text(numbers.policy());
        (numbers.tag() == tag && !name.is_empty()).then_some(name)
    }

    /// The rules in force: from this process's memory, or from their text in the segment.
    pub(super) fn rules_in_force(&self, _locked: &Locked<'_>) -> Result<Arc<CompiledRules>> {
        let header = self.segment().header();
        let turn = header.rules_turn.load(Acquire);
        let mut caches = self.caches()?;
        if let Some(rules) = caches.rules.as_ref().filter(|rules| rules.turn == turn) {
            return Ok(rules.clone());
        }
        let side = (turn & 1) as usize;
        let (at, len) = (header.rules_text[side].load(Acquire), header.rules_len[side].load(Acquire));
        let set = match at {
            0 => RuleSet::empty(),
            at => rules::parse(Directory(self.segment()).bytes(at, len as usize)).unwrap_or_else(|_| RuleSet::empty()),
        };
        let rules = Arc::new(CompiledRules { turn, set });
        caches.rules = Some(rules.clone());
        Ok(rules)
    }

    pub(super) fn reset_timed_state(&self) -> Result<()> {
        let _locked = self.locked()?;
        let now = self.clock().now();
        Directory(self.segment()).each(Kind::Guard, |found, _| self.start_guard(&found, now));
        Ok(())
    }
}

fn refuse_stale(new: &RuleSet, old: &RuleSet) -> Result<()> {
    let conflict = |what: String| Err(Error::new(ErrorKind::Conflict, what));
    if new.version < old.version {
        return conflict(format!("version {} is older than version {}, which is in force", new.version, old.version));
    }
    if new.version == old.version {
        return conflict(format!("version {} is in force with other content; count the version up", new.version));
    }
    Ok(())
}
