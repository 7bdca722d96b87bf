//! Putting rules in force: parse, compile every guard's numbers, publish with one store.
//!
//! Each guard has two places for its numbers; the parity of the header's turn says which is in force. The other
//! places are filled first, then the turn is stored. A process that dies in between has changed nothing.

use super::resolve::full;
use super::shared::{Locked, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::bring_budget_over;
use crate::guard::cell::GuardCell;
use crate::guard::extra::State;
use crate::guard::handle::Guard;
use crate::guard::numbers::{Block, Compiled, ExtraBlock, compile, compile_keyed};
use crate::guard::{Limit, begin_faults, fit_limit};
use crate::rate::keyed::Seed;
use crate::rules::{self, GuardRules, Mode, Problem, Report, RuleSet};
use crate::segment::Offset;
use crate::segment::directory::{Directory, Found, Kind};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

/// The rules in force, as this process read them.
pub struct CompiledRules {
    turn: u64,
    pub(super) set: RuleSet,
}

impl CompiledRules {
    /// The turn that they came with.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// Whether a guard has a system stage that is not off.
    pub(super) fn want_load(&self) -> bool {
        let all = self.set.guards.values().chain([&self.set.defaults]);
        all.filter_map(|guard| guard.system.as_ref()).any(|rule| rule.mode != Mode::Off)
    }
}

/// Parses a document and tries its numbers. Every error at once.
pub fn check_rules(json: &[u8]) -> std::result::Result<RuleSet, Report> {
    let set = rules::parse(json)?;
    let guards = set.guards.iter().map(|(name, rules)| (format!("$.guards[{name:?}]"), rules));
    let all = guards.chain([("$.defaults".to_owned(), &set.defaults)]);
    let problem = |(path, rules): (String, &GuardRules)| {
        try_numbers(rules).err().map(|error| Problem { path, message: error.message })
    };
    let errors: Vec<_> = all.filter_map(problem).collect();
    if errors.is_empty() { Ok(set) } else { Err(Report { errors, ..Report::default() }) }
}

fn try_numbers(rules: &GuardRules) -> Result<()> {
    let nothing = Compiled::nothing();
    let mut compiled = compile(rules, &nothing, 0)?;
    compile_keyed(rules, &nothing, &mut compiled, Seed { k0: 0, k1: 0 }, &|_| Ok(1))
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
        self.make_followed(&locked, &set)?;
        self.publish(set)
    }

    /// Makes the guards that rates follow, so that they can be found; they are there by their names in the rules.
    fn make_followed(&self, locked: &Locked<'_>, set: &RuleSet) -> Result<()> {
        let rates = set.guards.values().chain([&set.defaults]).flat_map(|guard| &guard.rate);
        for follow in rates.filter_map(|rate| rate.follow.as_ref()) {
            if Directory(self.segment()).find(Kind::Guard, &follow.guard).is_none() {
                self.make_guard(locked, &follow.guard)?;
            }
        }
        Ok(())
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
        self.start_breakers(&staged, side ^ 1, now);
        let old_text = header.rules_text[side].swap(text, AcqRel);
        let old_len = header.rules_len[side].swap(rules.set.canonical.len() as u64, AcqRel);
        header.rules_version.store(rules.set.version, Release);
        header.rules_turn.store(turn + 1, Release);
        header.changes.fetch_add(1, AcqRel);
        staged.iter().for_each(|(found, block)| self.bring_words_over(found, *block, now));
        replaced.into_iter().for_each(|(cell, block)| self.free_block(block, &self.blocks_of(cell)));
        if old_text != 0 {
            segment.free(old_text, old_len as usize);
        }
        self.caches()?.rules = Some(Arc::new(rules));
        let guards = self.caches()?.guards();
        guards.into_iter().filter(|guard| guard.is_alive()).for_each(Guard::prepare_keys);
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
        let mut made: Vec<(Offset, Offset)> = Vec::new();
        for (found, name, old) in guards {
            let block = self.block_for(rules, &name, Some(old), now).and_then(|block| block.ok_or_else(full));
            made.extend(block.as_ref().ok().filter(|&&block| block != old).map(|&block| (found.at, block)));
            match block.and_then(|block| self.has_room_for_state(found.at, block).then_some(block).ok_or_else(full)) {
                Ok(block) => staged.push((found, block)),
                Err(error) => {
                    made.into_iter().for_each(|(cell, block)| self.free_block(block, &self.blocks_of(cell)));
                    return Err(error);
                }
            }
        }
        Ok(staged)
    }

    /// Fills the places that are not in force, and tells which blocks they held, in which cells, that nothing refers to any
    /// more.
    fn stage(&self, staged: &[(Found, Offset)], side: usize) -> Vec<(Offset, Offset)> {
        let directory = Directory(self.segment());
        let mut replaced = Vec::new();
        for (found, block) in staged {
            let Some(cell) = directory.cell(found.at) else { continue };
            let in_force = cell.words[side ^ 1].load(Acquire) as Offset;
            let before = cell.words[side].swap((*block).into(), AcqRel) as Offset;
            if before != in_force && before != *block {
                replaced.push((found.at, before));
            }
        }
        replaced
    }

    fn start_breakers(&self, staged: &[(Found, Offset)], in_force: usize, now: u64) {
        for (found, block) in staged {
            let cell = Directory(self.segment()).cell(found.at);
            let before = cell.map_or(0, |cell| cell.words[in_force].load(Acquire) as Offset);
            self.start_breaker(found, before, *block, now);
        }
    }

    fn bring_words_over(&self, found: &Found, block: Offset, now: u64) {
        let segment = self.segment();
        let (Some(guard), Some(block)) = (segment.at::<GuardCell>(found.at), segment.at::<Block>(block)) else {
            return;
        };
        let view = segment.view();
        for index in 0..block.rate_count() {
            let Some(limit) = Limit::of(&view, guard, block, index) else {
                // It is by key: no word of its own counts.
                guard.hot.rates[index].store(0, Release);
                continue;
            };
            while !limit.owns_its_word() {
                limit.bring_word_over(now);
            }
        }
        let extra = segment.at::<ExtraBlock>(block.extra());
        if let Some((numbers, state)) = extra.zip(segment.at::<State>(guard.extra.load(Acquire))) {
            fit_limit(numbers, state);
        }
        self.bring_keys_over(block, now);
        for rate in &guard.hot.rates[block.rate_count()..] {
            rate.store(0, Release);
        }
        if let Some(state) = segment.at::<State>(guard.extra.load(Acquire)) {
            let numbers = segment.at::<ExtraBlock>(block.extra());
            begin_faults(state, numbers, false, now);
            match numbers {
                Some(numbers) => bring_budget_over(numbers, state, now),
                None => state.budget[0].store(0, Release),
            }
        }
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
        Directory(self.segment()).each(Kind::Guard, |found, _| {
            self.start_again(&found, now);
            self.segment().at::<GuardCell>(found.at).into_iter().for_each(|guard| self.forget_keys(guard));
        });
        self.start_limiters_afresh(now);
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
