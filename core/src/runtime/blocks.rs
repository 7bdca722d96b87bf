//! A guard's numbers in the segment: a block, and beside it what only some guards have. Immutable once they are written.

use super::publish::CompiledRules;
use super::shared::Shared;
use crate::error::Result;
use crate::guard::cell::GuardCell;
use crate::guard::extra::STATE_BYTES;
use crate::guard::follow;
use crate::guard::numbers::{self, Block, Compiled, EXTRA_BYTES, Extra, ExtraBlock, Numbers, compile};
use crate::rate::follow::Follow;
use crate::rules::GuardRules;
use crate::segment::Offset;
use crate::segment::directory::{Directory, Kind};
use crate::slot::lane::{PAGE_WORDS, new_place};
use std::sync::atomic::Ordering::*;

impl Shared {
    /// Gives a guard that has further disciplines by this block the words for their state; false: there is no room.
    pub(super) fn has_room_for_state(&self, cell: Offset, block: Offset) -> bool {
        let segment = self.segment();
        let (Some(guard), Some(block)) = (segment.at::<GuardCell>(cell), segment.at::<Block>(block)) else {
            return false;
        };
        if block.extra() == 0 || guard.extra.load(Relaxed) != 0 {
            return true;
        }
        // Lanes may be full: then nothing is counted there, and the rest goes on.
        let second = new_place(segment, PAGE_WORDS).map_or(0, |place| place.0);
        let Some(state) = segment.alloc(STATE_BYTES) else { return false };
        guard.second.store(second, Relaxed);
        guard.extra.store(state, Release);
        true
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
        let before = self.compiled_at(old.unwrap_or(0));
        let mut compiled = compile(&own, &before, now)?;
        self.find_followed(&own, &mut compiled.extra);
        self.compile_keyed(&own, &before, &mut compiled)?;
        for (number, fault) in own.faults.iter().enumerate() {
            let id = fault.when.as_ref().map_or(Ok(0), |when| self.attribute_under_lock(&when.attribute))?;
            compiled.extra.settle_fault(number, id, &before.extra, now);
        }
        let policy = own.policy.as_ref().map_or("", |policy| policy.name.as_str());
        let same_policy = self.policy_name_of(&before.numbers) == policy;
        if let Some(old) = old.filter(|&at| at != 0 && same_policy && compiled.says_the_same_as(&before)) {
            return Ok(Some(old));
        }
        Ok(self.new_block(compiled, &before, policy))
    }

    /// Puts the places of the guards that rates follow; one that is not there presses nobody.
    fn find_followed(&self, rules: &GuardRules, extra: &mut Extra) {
        for (rule, words) in rules.rate.iter().zip(extra.follow.as_chunks_mut::<2>().0) {
            let Some(follow) = &rule.follow else { continue };
            let Some(numbers) = Follow::new(follow.from, follow.to, follow.floor) else { continue };
            let found = Directory(self.segment()).find(Kind::Guard, &follow.guard);
            *words = found.map_or([0; 2], |found| follow::words_of(&numbers, found.at, found.generation));
        }
    }

    /// What the block at a place says.
    fn compiled_at(&self, at: Offset) -> Compiled {
        let Some(block) = self.segment().at::<Block>(at) else { return Compiled::nothing() };
        let numbers = block.read();
        let extra = self.segment().at::<ExtraBlock>(numbers.extra).map_or(Extra::NONE, ExtraBlock::read);
        Compiled { numbers, keyed: self.keyed_at(&extra), extra }
    }

    fn new_block(&self, mut compiled: Compiled, before: &Compiled, policy: &str) -> Option<Offset> {
        let segment = self.segment();
        let lasting = Shared::tables_that_last(before, &compiled);
        if !self.place_tables(&mut compiled.extra, &lasting) {
            return None;
        }
        let placed = segment.alloc(numbers::BYTES).and_then(|at| {
            let numbers = self.furnish(&compiled, policy);
            if numbers.is_none() {
                segment.free(at, numbers::BYTES);
            }
            numbers.map(|numbers| (at, numbers))
        });
        let Some((at, numbers)) = placed else {
            self.give_back_tables(&compiled.extra, &[before.extra]);
            return None;
        };
        let tag = segment.header().last_tag.fetch_add(1, AcqRel) + 1;
        segment.at::<Block>(at)?.write(&numbers, tag);
        Some(at)
    }

    /// The numbers with places for what stands beside them.
    fn furnish(&self, compiled: &Compiled, policy: &str) -> Option<Numbers> {
        let mut numbers = Numbers { policy: (0, 0), extra: 0, ..compiled.numbers };
        if !policy.is_empty() {
            numbers.policy = (Directory(self.segment()).store_bytes(policy.as_bytes())?.into(), policy.len() as u64);
        }
        if compiled.extra != Extra::NONE {
            let Some(at) = self.segment().alloc(EXTRA_BYTES) else {
                self.free_beside(&numbers);
                return None;
            };
            numbers.extra = at;
            let mut extra = compiled.extra;
            let placed = self.place_keyed(&compiled.keyed, &mut extra);
            self.segment().at::<ExtraBlock>(at)?.write(if placed { &extra } else { &Extra::NONE });
            if !placed {
                self.free_beside(&numbers);
                return None;
            }
        }
        Some(numbers)
    }

    /// The blocks that a guard's cell refers to.
    pub(super) fn blocks_of(&self, cell: Offset) -> [Offset; 2] {
        let cell = Directory(self.segment()).cell(cell);
        cell.map_or([0; 2], |cell| cell.words.each_ref().map(|word| word.load(Acquire) as Offset))
    }

    /// Frees a block, and the tables that it has and none of the blocks in `kept`.
    pub(super) fn free_block(&self, at: Offset, kept: &[Offset]) {
        if let Some(block) = self.segment().at::<Block>(at) {
            let gone = self.compiled_at(at);
            let kept: Vec<Extra> = kept.iter().map(|&at| self.compiled_at(at).extra).collect();
            block.void();
            self.give_back_tables(&gone.extra, &kept);
            self.free_beside(&gone.numbers);
            self.segment().free(at, numbers::BYTES);
        }
    }

    fn free_beside(&self, numbers: &Numbers) {
        if numbers.policy.0 != 0 {
            self.segment().free(numbers.policy.0 as Offset, numbers.policy.1 as usize);
        }
        if let Some(extra) = self.segment().at::<ExtraBlock>(numbers.extra) {
            self.free_keyed(&extra.read());
            self.segment().free(numbers.extra, EXTRA_BYTES);
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
}
