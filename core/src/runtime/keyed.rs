//! Rate limits by key: their numbers in the segment, in blocks beside the guards'. **Cold.**

use super::shared::Shared;
use crate::error::Result;
use crate::guard::cell::{GuardCell, MAX_RATES};
use crate::guard::keyed_limit::{KeyedLimit, seed_of};
use crate::guard::numbers::{Block, Compiled, Extra, ExtraBlock, KeyedLimits, KeyedNumbers, OF_RATES, compile_keyed};
use crate::rules::GuardRules;
use crate::segment::Offset;
use std::sync::atomic::Ordering::*;

impl Shared {
    /// Compiles a guard's limits by key. Under the cold lock, since names of attributes get their numbers.
    pub(super) fn compile_keyed(&self, rules: &GuardRules, before: &Compiled, compiled: &mut Compiled) -> Result<()> {
        let seed = seed_of(self.segment().header());
        compile_keyed(rules, before, compiled, seed, &|name| self.attribute_under_lock(name))
    }

    /// What the blocks beside a guard's say.
    pub(super) fn keyed_at(&self, extra: &Extra) -> KeyedLimits {
        let view = self.segment().view();
        std::array::from_fn(|index| match extra.keyed_at(index) {
            [0, _] => None,
            [at, words] => KeyedNumbers::read(view.words(at as Offset, words as usize)?),
        })
    }

    /// Which tables may go on to be used: not those whose keys would be other ones, or stand elsewhere.
    pub(super) fn tables_that_last(before: &Compiled, compiled: &Compiled) -> Extra {
        let mut had = before.extra;
        for (index, (old, new)) in before.keyed.iter().zip(&compiled.keyed).enumerate() {
            let lasts = match (old, new) {
                (Some(old), Some(new)) => new.shares_table_with(old),
                (None, None) => true,
                _ => false,
            };
            if !lasts {
                had.set_table(OF_RATES + index, [0, 0]);
            }
        }
        had
    }

    /// Writes the numbers into blocks of their own; false: there is no room, and nothing was taken.
    pub(super) fn place_keyed(&self, compiled: &KeyedLimits, extra: &mut Extra) -> bool {
        for (index, numbers) in compiled.iter().enumerate() {
            let Some(numbers) = numbers else { continue };
            let words = numbers.words();
            let Some(at) = self.segment().alloc(words.len() * 8) else {
                self.free_keyed(extra);
                return false;
            };
            let block = self.segment().view();
            for (to, from) in block.words(at, words.len()).unwrap_or(&[]).iter().zip(&words) {
                to.store(*from, Relaxed);
            }
            extra.set_keyed(index, [at.into(), words.len() as u64]);
        }
        true
    }

    /// Gives those blocks back.
    pub(super) fn free_keyed(&self, extra: &Extra) {
        for index in 0..MAX_RATES {
            let [at, words] = extra.keyed_at(index);
            if at != 0 {
                self.segment().free(at as Offset, words as usize * 8);
            }
        }
    }

    /// Makes the words of special keys ones of the numbers that were just put in force.
    pub(super) fn bring_keys_over(&self, block: &Block, now: u64) {
        let view = self.segment().view();
        let limits = (0..block.rate_count()).filter_map(|index| KeyedLimit::of(&view, block, block.tag(), index));
        limits.for_each(|limit| limit.bring_over(now));
    }

    /// Empties the tables of a guard: all buckets are full.
    pub(super) fn forget_keys(&self, guard: &GuardCell) {
        let turn = self.segment().header().rules_turn.load(Acquire);
        let block = self.segment().at::<Block>(guard.cell.words[(turn & 1) as usize].load(Acquire) as Offset);
        let Some(extra) = block.and_then(|block| self.segment().at::<ExtraBlock>(block.extra())) else { return };
        let (extra, view) = (extra.read(), self.segment().view());
        for index in (0..MAX_RATES).filter(|&index| extra.keyed_at(index)[0] != 0) {
            let [at, words] = extra.table(OF_RATES + index);
            let table = view.words(at as Offset, words as usize).unwrap_or(&[]);
            table.iter().filter(|word| word.load(Relaxed) != 0).for_each(|word| word.store(0, Relaxed));
        }
    }
}
